"""The checkout as the architecture tests see it: where it is, and copies of it to plant violations in."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSES = ("scripts", "config", "contexts", "shop")


def copy_of_the_houses(target: Path) -> Path:
    """Copy the import rules and the three houses, without their tests (which would slow every plant down)."""
    for house in HOUSES:
        shutil.copytree(ROOT / house, target / house, ignore=shutil.ignore_patterns("tests", "__pycache__", "deploy"))
    for context in contexts(target):
        write(context / "tests" / "__init__.py", "")
    write(target / "tests" / "__init__.py", "")
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def contexts(root: Path) -> list[Path]:
    """Folders of the contexts, by name."""
    return sorted(folder for folder in (root / "contexts").iterdir() if folder.is_dir() and folder.name[0] not in "_.")


def module_file(root: Path, module: str) -> Path:
    """File of a dotted module; a room that grew into a package is its ``__init__.py``."""
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
