"""Knowing one context is knowing all: the same rooms, an empty ``__init__``, a contract that is only that."""

from pathlib import Path

import pytest

from tests.architecture.shapes import (
    ROOMS,
    contract_intruders,
    full_inits,
    kernel_word_imports,
    missing_rooms,
)
from tests.architecture.tree import ROOT, contexts, module_file, write

pytestmark = pytest.mark.once


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A tree with one complete context in it."""
    folder = tmp_path / "contexts" / "tea"
    for room in ROOMS:
        write(folder / f"{room}.py", "")
    write(folder / "__init__.py", "")
    return folder


def contract(context: Path, text: str) -> list[str]:
    write(context / "contract.py", text)
    return contract_intruders(context.parents[1])


def test_the_real_contexts_are_found():
    assert {"auth", "catalog", "ordering"} <= {folder.name for folder in contexts(ROOT)}


def test_every_context_has_every_room():
    assert missing_rooms(ROOT) == []


def test_a_room_may_be_a_package(context: Path):
    (context / "services.py").unlink()
    write(context / "services" / "__init__.py", "")
    assert missing_rooms(context.parents[1]) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_missing_room_is_named(context: Path, room: str):
    (context / f"{room}.py").unlink()
    assert missing_rooms(context.parents[1]) == [f"tea has no {room}"]


def test_every_context_init_is_empty():
    assert full_inits(ROOT) == []


@pytest.mark.parametrize("text", ["from contexts.tea import services\n", '"""Tea."""\n', None])
def test_an_init_with_something_in_it_or_none_at_all_is_named(context: Path, text: str | None):
    (context / "__init__.py").unlink()
    if text is not None:
        write(context / "__init__.py", text)
    assert full_inits(context.parents[1]) == ["tea/__init__.py is not an empty file"]


def test_contracts_hold_only_contract_words():
    assert contract_intruders(ROOT) == []


GOOD = '''"""The door of tea."""
from __future__ import annotations
import datetime
from dataclasses import dataclass
from shop.contract import ConflictError, Event, Service
CupId = NewType("CupId", int)
type Cups = tuple[Cup, ...]
class Size(StrEnum):
    SMALL = "small"
@dataclass(frozen=True, slots=True, kw_only=True)
class Cup:
    id: CupId
@dataclass(frozen=True, slots=True, kw_only=True)
class CupPoured(Event):
    id: CupId
class TeaService(Service):
    def pour(self, *, size: Size) -> Cup: ...
class EmptyPotError(ConflictError):
    code = "empty_pot"
class VeryEmptyPot(EmptyPotError):
    code = "very_empty_pot"
'''


def test_a_contract_of_contract_words_passes(context: Path):
    assert contract(context, GOOD) == []


def test_a_contract_that_grew_into_a_package_is_read_too(context: Path):
    (context / "contract.py").unlink()
    write(context / "contract" / "__init__.py", "from contexts.tea.contract.cups import Cup\n")
    write(context / "contract" / "cups.py", "def brew() -> None: ...\n")
    found = contract_intruders(context.parents[1])
    assert found == ["contexts/tea/contract/cups.py:1 FunctionDef has no place in a contract"]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("def brew() -> None: ...", "FunctionDef has no place in a contract"),
        ("async def brew() -> None: ...", "AsyncFunctionDef has no place in a contract"),
        ("brew = lambda: None", "Assign has no place in a contract"),
        ("POTS = []", "Assign has no place in a contract"),
        ("if TYPE_CHECKING:\n    import decimal", "If has no place in a contract"),
        ("class Kettle: ...", "class Kettle is no service, frozen value, enum or error"),
        ("@dataclass\nclass Pot: ...", "class Pot is no service, frozen value, enum or error"),
        ("@dataclass(frozen=True)\nclass Pot: ...", "class Pot is no service, frozen value, enum or error"),
        (
            "@dataclass(frozen=False, slots=True, kw_only=True)\nclass Pot: ...",
            "class Pot is no service, frozen value, enum or error",
        ),
        ("class Pot(models.Model): ...", "class Pot is no service, frozen value, enum or error"),
        ("import attrs", "imports attrs"),
        ("from shop.events import publish", "imports shop.events"),
        ("from contexts.milk.contract import Milk", "imports contexts.milk.contract"),
        ("from . import services", "imports ."),
    ],
)
def test_what_is_no_contract_word_is_named(context: Path, line: str, finding: str):
    [found] = contract(context, GOOD + line + "\n")
    assert found.startswith("contexts/tea/contract.py:")
    assert found.endswith(finding)


def test_the_kernels_words_are_standard_library_only():
    assert module_file(ROOT, "shop.contract").is_file()
    assert kernel_word_imports(ROOT) == []


@pytest.mark.parametrize(
    "line", ["import django", "from shop.settings import Env", "def late() -> None:\n    import pydantic"]
)
def test_a_kernel_word_from_elsewhere_is_named(tmp_path: Path, line: str):
    write(tmp_path / "shop" / "contract.py", f"import datetime\n{line}\n")
    assert len(kernel_word_imports(tmp_path)) == 1
