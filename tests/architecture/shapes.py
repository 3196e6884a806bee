"""Checks of shape: each takes the root of a tree and returns what is wrong there, a sentence per finding."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.architecture.tree import HOUSES, contexts

CEILING = 300
ROOMS = [
    "contract",
    "domain",
    "models",
    "services",
    "api",
    "tasks",
    "admin",
    "urls",
    "settings",
    "apps",
    "migrations",
    "tests",
]
SOURCED = {"environment"}  # in scripts/, but read by the others instead of run


def source_files(root: Path) -> Iterator[Path]:
    """Python files of the houses: no migrations, no tests."""
    for house in HOUSES:
        for file in sorted((root / house).rglob("*.py")):
            if not {"migrations", "tests"} & set(file.relative_to(root).parts):
                yield file


def long_files(root: Path) -> list[str]:
    lengths = ((file.relative_to(root), len(file.read_text().splitlines())) for file in source_files(root))
    return [f"{file} has {lines} lines" for file, lines in lengths if lines > CEILING]


def missing_rooms(root: Path) -> list[str]:
    return [
        f"{context.name} has no {room}"
        for context in contexts(root)
        for room in ROOMS
        if not (context / f"{room}.py").is_file() and not (context / room / "__init__.py").is_file()
    ]


def full_inits(root: Path) -> list[str]:
    """An import of a contract must load no implementation, so the ``__init__`` of a context is empty."""
    inits = [context / "__init__.py" for context in contexts(root)]
    return [f"{init.parent.name}/__init__.py is not an empty file" for init in inits if not _is_empty(init)]


def _is_empty(file: Path) -> bool:
    return file.is_file() and not file.read_text().strip()


def contract_intruders(root: Path) -> list[str]:
    """What in a contract is no service, value, enum, NewType, event or error, or comes from elsewhere."""
    return [
        f"{file.relative_to(root)}:{node.lineno} {what}"
        for context in contexts(root)
        for file in [*context.glob("contract.py"), *context.glob("contract/*.py")]
        for node, what in _intruders(ast.parse(file.read_text()).body, own=f"contexts.{context.name}.contract.")
    ]


def _intruders(body: Iterable[ast.stmt], own: str) -> Iterator[tuple[ast.stmt, str]]:
    for node in body:
        match node:
            case ast.Expr(value=ast.Constant(value=str())) | ast.TypeAlias():
                continue
            case ast.Import() | ast.ImportFrom():
                yield from ((node, f"imports {name}") for name in _imported(node) if not _is_leaf_import(name, own))
            case ast.Assign(value=ast.Call(func=ast.Name(id="NewType"))):
                continue
            case ast.ClassDef() if _is_service_enum_or_error(node) or _is_frozen(node):
                continue
            case ast.ClassDef():
                yield node, f"class {node.name} is no service, frozen value, enum or error"
            case _:
                yield node, f"{type(node).__name__} has no place in a contract"


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return [alias.name for alias in node.names]


def _is_leaf_import(name: str, own: str) -> bool:
    return name == "shop.contract" or name.startswith(own) or name.partition(".")[0] in sys.stdlib_module_names


def _is_service_enum_or_error(node: ast.ClassDef) -> bool:
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return any(
        base in {"Service", "PersonalData", "Protocol", "Enum", "IntEnum", "StrEnum"} or base.endswith("Error")
        for base in bases
    )


def _is_frozen(node: ast.ClassDef) -> bool:
    """Whether it is a frozen, slotted, keyword-only dataclass; events are such too."""
    given = {
        (word.arg, isinstance(word.value, ast.Constant) and word.value.value is True)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "dataclass"
        for word in call.keywords
    }
    return {("frozen", True), ("slots", True), ("kw_only", True)} <= given


def kernel_word_imports(root: Path) -> list[str]:
    """Imports of ``shop.contract`` that are not the standard library's: every contract would inherit them."""
    return [
        f"{file.relative_to(root)}:{node.lineno} imports {name}"
        for file in [*root.glob("shop/contract.py"), *root.glob("shop/contract/*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _imported(node)
        if not _is_leaf_import(name, own="shop.contract.")
    ]


def _is_command(path: Path) -> bool:
    return path.is_file() and path.suffix != ".py" and path.name not in SOURCED


def mute_scripts(root: Path) -> list[str]:
    """Scripts that can't be run as they are, or don't answer ``--help``."""
    found = []
    for script in sorted(path for path in (root / "scripts").iterdir() if _is_command(path)):
        if not script.stat().st_mode & 0o111:
            found.append(f"{script.name} is not executable")
            continue
        done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, timeout=10)
        if done.returncode or not done.stdout.startswith(f"Usage: scripts/{script.name}"):
            found.append(f"{script.name} does not answer --help")
    return found
