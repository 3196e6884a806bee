"""One set of counts for all processes of a server. Its entry comes in, before anything counts.

prometheus_client keeps a file per process. Named after the process, files of dead ones would pile up; so each process
takes the lowest free place, and whoever takes the place of a dead one counts on where that one stopped.
"""

import fcntl
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Final, TextIO

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
NOWHERE: Final = "nowhere"
"""The place of a process that forks others and does not count itself."""

_held: list[tuple[int, TextIO]] = []


def empty_folder(folder: Path) -> Path:
    """Make ``folder`` as if it had never been: a new server counts from zero."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


@cache
def share_counts() -> None:
    """Let the counts of this process, and of those that it forks, be kept by place; nothing where none are shared."""
    if os.environ.get(FOLDER):
        from prometheus_client import values  # noqa: PLC0415  it looks at the environment when it is imported

        values.ValueClass = values.MultiProcessValue(process_identifier=_place)  # type: ignore[no-untyped-call]


def take_place() -> None:
    """Count in the files of a place of this process's own from now on; nothing where no counts are shared."""
    share_counts()
    if folder := os.environ.get(FOLDER):
        _held.append(_free_place(Path(folder)))


def _place() -> int | str:
    return _held[-1][0] if _held else NOWHERE


def _free_place(folder: Path) -> tuple[int, TextIO]:
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
            return place, lock
