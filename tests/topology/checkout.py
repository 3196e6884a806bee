"""A copy of the code that nobody can write to: what runs in it differs by its environment only."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.e2e.shopserver import ROOT

RUNS: Final = ("shop", "contexts", "config", "scripts", "manage.py", "pyproject.toml", "requirements.lock")
HEEDS_MODES: Final = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
"""What a command begins with that may not write where modes forbid it: they do not bind root otherwise."""


@contextmanager
def read_only_checkout(parent: Path) -> Iterator[Path]:
    """The code, in a folder below ``parent``, with the packages that are installed; removed afterwards."""
    root = parent / "checkout"
    root.mkdir()
    for each in map(ROOT.joinpath, (*RUNS, ".python-version")):
        if each.is_dir():
            shutil.copytree(each, root / each.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(each, root)
    (root / ".venv").symlink_to(ROOT / ".venv")
    _allow(root, 0o555)
    try:
        yield root
    finally:
        _allow(root, 0o755)
        shutil.rmtree(root)


def _allow(root: Path, folder_mode: int) -> None:
    for each in (root, *root.rglob("*")):
        if not each.is_symlink():
            each.chmod(folder_mode if each.is_dir() or each.stat().st_mode & 0o100 else folder_mode & 0o666)
