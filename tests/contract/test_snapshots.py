"""Snapshots of contracts: what breaks whoever knows the old one is named, what is only added is not."""

import json
import sys
from itertools import count
from types import ModuleType

import pytest
from django.core.management import CommandError, call_command

from shop.services.contracts.comparing import breaks
from shop.services.contracts.describing import described
from shop.services.contracts.finding import Contract
from shop.services.contracts.storing import stored, text_of
from shop.sharding import hosted_contexts

pytestmark = pytest.mark.once

TEA = """
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Literal
from shop.contract import ConflictError, Event, NotFoundError, Service, query, saga

class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"

@dataclass(frozen=True, slots=True, kw_only=True)
class Cup:
    cup_id: str
    size: Size
    sips: int | None = None
    leaves: tuple["Cup", ...] = ()

class NoTeaError(ConflictError):
    code = "no_tea"

class SpilledError(NotFoundError):
    code = "spilled"

class TeaService(Service):
    context = "tea"

    @query(callers=("ordering", "catalog"), errors=(NoTeaError,), max_batch=50)
    def cups(self, *, ids: Sequence[str], size: Literal["small", "large"] = "small") -> tuple[Cup, ...]:
        raise NotImplementedError

    @saga(key="pot_id", callers=("ordering",), errors=(NoTeaError,))
    def pour(self, *, pot_id: str, at: datetime, into: Sequence[Cup]) -> Mapping[str, int]:
        raise NotImplementedError

    @query(callers=("ordering",))
    def blends(self) -> tuple[str, int]:
        raise NotImplementedError

@dataclass(frozen=True, slots=True, kw_only=True)
class Poured(Event):
    key: ClassVar[str] = "cup_id"
    shard_key: ClassVar[str] = "cup_id"
    cup_id: str
    size: Size
"""

ASKED = '@query(callers=("ordering",))'
PAST = "@dataclass(frozen=True, slots=True, kw_only=True)\nclass Poured"
DRUNK = TEA[TEA.index(PAST) :].replace("Poured", "Drunk")
numbers = count()


@pytest.fixture
def declared(tmp_path, monkeypatch):
    """Makes a contract of a module's text, with some of it replaced."""

    def make(*replaced):
        text = TEA
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        module = ModuleType(f"contexts.tea.contract{next(numbers)}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(text, "tea", "exec"), vars(module))  # noqa: S102  written above
        return Contract.declared_in(module, context="tea", path=tmp_path / "contract.json")

    return make


BREAKS = {
    "a method is removed": ([("def blends", "def mixtures")], ["TeaService.blends: removed"]),
    "a field is removed": (
        [("    sips: int | None = None\n", "")],
        [
            "TeaService.cups ->[].sips: removed",
            "TeaService.pour.into[].sips: removed",
        ],
    ),
    "an argument is removed": (
        [(', size: Literal["small", "large"] = "small"', "")],
        ["TeaService.cups.size: removed"],
    ),
    "an input is new and needed": (
        [("at: datetime", "at: datetime, sugar: int")],
        ["TeaService.pour.sugar: new, and needed: give it a default"],
    ),
    "an input is needed now": (
        [(' = "small") ->', ") ->")],
        ["TeaService.cups.size: may be missing, and is needed"],
    ),
    "a field is new and needed": (
        [("    cup_id: str\n    size: Size\n    sips", "    cup_id: str\n    size: Size\n    milk: bool\n    sips")],
        [
            "TeaService.cups ->[].milk: new, and needed: give it a default",
            "TeaService.pour.into[].milk: new, and needed: give it a default",
        ],
    ),
    "a type is another": (
        [("sips: int | None", "sips: str | None")],
        [
            "TeaService.cups ->[].sips: was integer, is string or null",
            "TeaService.cups ->[].sips: was integer or null, is string",
            "TeaService.pour.into[].sips: was integer, is string or null",
        ],
    ),
    "an input is narrowed": (
        [('Literal["small", "large"]', 'Literal["small"]')],
        ["TeaService.cups.size: 'large' is no longer taken"],
    ),
    "an input loses null": (
        [("sips: int | None = None", "sips: int = 0")],
        [
            "TeaService.cups ->[].sips: was null, is integer",
            "TeaService.pour.into[].sips: was null, is integer",
        ],
    ),
    "an output may be null now": (
        [("tuple[str, int]:", "tuple[str, int] | None:")],
        ["TeaService.blends ->: was array, is null"],
    ),
    "an enum of an output is wider": (
        [('    LARGE = "large"\n', '    LARGE = "large"\n    HUGE = "huge"\n')],
        [
            "TeaService.cups ->[].size: 'huge' is unknown to who reads it",
            "tea.poured.v1.size: 'huge' is unknown to who reads it",
        ],
    ),
    "an enum is narrower": (
        [('    LARGE = "large"\n', "")],
        [
            "TeaService.cups ->[].size: 'large' is no longer taken",
            "TeaService.pour.into[].size: 'large' is no longer taken",
            "tea.poured.v1.size: 'large' is no longer taken",
        ],
    ),
    "a code is another": ([('"no_tea"', '"out_of_tea"')], ["NoTeaError: code was no_tea, is out_of_tea"]),
    "an error is new to callers": (
        [
            ("def blends", "def blends"),
            ('@query(callers=("ordering",))', '@query(callers=("ordering",), errors=(SpilledError,))'),
        ],
        ["TeaService.blends: SpilledError: unknown to callers"],
    ),
    "an error is declared no more": (
        [("errors=(NoTeaError,), max_batch", "max_batch")],
        ["TeaService.cups: NoTeaError: no longer declared, an older callee raises it"],
    ),
    "a caller is refused now": (
        [('("ordering", "catalog")', '("ordering",)')],
        ["TeaService.cups: catalog may call it no more"],
    ),
    "a batch is smaller": ([("max_batch=50", "max_batch=49")], ["TeaService.cups: max_batch was 50, is 49"]),
    "a command has another key": (
        [('key="pot_id"', 'key="at"')],
        ["TeaService.pour: key was pot_id, is at"],
    ),
    "an event has another version": (
        [("class Poured(Event):\n", "class Poured(Event):\n    version = 2\n")],
        ["tea.poured.v1: removed"],
    ),
    "an event is ordered by something else": (
        [('    key: ClassVar[str] = "cup_id"', '    key: ClassVar[str] = "size"')],
        ["tea.poured.v1: key was cup_id, is size"],
    ),
    "a tuple is longer": ([("tuple[str, int]", "tuple[str, int, int]")], ["TeaService.blends ->: was array, is array"]),
    "a part of a tuple is another": (
        [("tuple[str, int]", "tuple[str, bool]")],
        ["TeaService.blends ->[1]: was integer, is boolean"],
    ),
    "values of a mapping are others": (
        [("Mapping[str, int]", "Mapping[str, bool]")],
        ["TeaService.pour ->{}: was integer, is boolean"],
    ),
    "keys of a mapping are others": (
        [("Mapping[str, int]", "Mapping[int, int]")],
        ["TeaService.pour ->: was object, is object by integer"],
    ),
    "a text has to be an exact number": (
        [("pot_id: str, at", "pot_id: Decimal, at")],
        ["TeaService.pour.pot_id: was string, is decimal"],
    ),
    "a default is another": (
        [('= "small") ->', '= "large") ->')],
        ["TeaService.cups.size: default was 'small', is 'large'"],
    ),
    "a moment is only a text": (
        [("at: datetime", "at: int")],
        ["TeaService.pour.at: was date-time, is integer"],
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_breaks_is_named(what, declared):
    replaced, expected = BREAKS[what]
    assert breaks(described(declared()), described(declared(*replaced))) == sorted(expected)


@pytest.mark.parametrize(
    "replaced",
    [
        [],
        [("at: datetime", "at: datetime, sugar: int = 0")],
        [("at: datetime", "at: datetime | None")],
        [("    sips: int | None = None\n", "    sips: int | None = None\n    milk: bool = False\n")],
        [('Literal["small", "large"]', 'Literal["small", "large", "huge"]')],
        [('callers=("ordering",)', 'callers=("ordering", "auth")')],
        [("max_batch=50", "max_batch=51, timeout_seconds=2.0")],
        [(PAST, DRUNK + PAST)],
        [(ASKED, '@query(callers=("auth",))\n    def size(self) -> int:\n        return 1\n\n    ' + ASKED)],
    ],
)
def test_what_is_only_added_breaks_nobody(replaced, declared):
    assert breaks(described(declared()), described(declared(*replaced))) == []


@pytest.mark.parametrize("context", hosted_contexts())
def test_the_snapshots_are_what_the_contracts_say(context):
    contract = Contract.of(context)
    assert contract.path.read_text() == text_of(described(contract))


@pytest.fixture
def tea(declared, monkeypatch, settings):
    """A context whose snapshot is written, and what makes another contract of it."""
    settings.CONTEXTS = ["tea"]

    def change(*replaced):
        changed = declared(*replaced)
        monkeypatch.setattr(Contract, "of", lambda context: changed)
        return changed

    change().path.write_text(text_of(described(declared())))
    return change


def printed(capsys, *arguments):
    """Exit code and what `manage.py contracts` tells."""
    try:
        call_command("contracts", *arguments)
    except SystemExit as ended:
        return ended.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_the_command_passes_what_is_the_same(tea, capsys):
    assert printed(capsys, "check") == (0, "tea: ok\n")


def test_the_command_names_what_breaks_and_writes_it_only_when_told_so(tea, capsys):
    # given a contract whose code is another
    path = tea(('"no_tea"', '"out_of_tea"')).path
    before = path.read_text()
    # then
    said = "tea: NoTeaError: code was no_tea, is out_of_tea\n"
    assert printed(capsys, "check") == (1, said)
    assert printed(capsys, "write") == (1, said)
    assert path.read_text() == before
    assert printed(capsys, "write", "--accept-breaks") == (0, f"{said}tea: written\n")
    assert printed(capsys, "check") == (0, "tea: ok\n")


def test_the_command_asks_for_what_was_added_to_be_written(tea, capsys):
    path = tea(("max_batch=50", "max_batch=60")).path
    before = path.read_text()
    code, said = printed(capsys, "check")
    assert (code, "contracts write" in said) == (1, True)
    assert printed(capsys, "write", "--dry-run") == (0, "tea: would be written\n")
    assert path.read_text() == before
    assert printed(capsys, "write") == (0, "tea: written\n")
    assert stored(path)["services"]["TeaService"]["cups"]["max_batch"] == 60


def test_the_command_tells_programs(tea, capsys):
    tea(('"no_tea"', '"out_of_tea"'))
    code, said = printed(capsys, "check", "--json")
    assert code == 1
    found = {"breaks": ["NoTeaError: code was no_tea, is out_of_tea"], "behind": True}
    assert json.loads(said) == {"contexts": {"tea": found}, "written": []}


def damaged(change):
    """A snapshot of catalog, but for something."""
    snapshot = json.loads(json.dumps(described(Contract.of("catalog"))))
    change(snapshot)
    return json.dumps(snapshot)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        "{}",
        damaged(lambda snapshot: snapshot.update(services=[])),
        damaged(lambda snapshot: snapshot["services"]["CatalogService"]["reserve"].pop("callers")),
        damaged(lambda snapshot: snapshot["types"].pop("Offer")),
        damaged(lambda snapshot: snapshot["events"].update(tea=7)),
    ],
)
def test_a_snapshot_that_can_not_be_read_is_named(content, tea):
    path = tea().path
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(CommandError, match=str(path)) as refused:
        call_command("contracts", "check")
    assert refused.value.returncode == 2


def test_a_context_that_is_not_here_is_named(tea):
    with pytest.raises(CommandError, match="not hosted here: coffee") as refused:
        call_command("contracts", "check", "coffee")
    assert refused.value.returncode == 2
