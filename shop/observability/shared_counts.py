"""One set of counts for all processes of a server. Its entry comes in, before anything counts.

prometheus_client keeps a file per process. Named after the process, files of dead ones would pile up; so each process
takes the lowest free place, and whoever takes the place of a dead one counts on where that one stopped.
"""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final, TextIO

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_held: list[TextIO] = []


def empty_folder(folder: Path) -> Path:
    """Make ``folder`` as if it had never been: a new server counts from zero."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def take_place() -> int | None:
    """Count in the files of this process's place from now on; None where the counts are not shared."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    from prometheus_client import values  # noqa: PLC0415  it looks at the environment when it is imported

    place = _free_place(Path(folder))
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: place)  # type: ignore[no-untyped-call]
    return place


def _free_place(folder: Path) -> int:
    """The lowest number that no living process holds; the system frees it when this one ends, however that happens."""
    place = 0
    while True:
        lock = (folder / f"place-{place}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            place += 1
        else:
            _held.append(lock)
            return place
