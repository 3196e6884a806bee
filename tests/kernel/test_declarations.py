"""What a contract may declare, and what an implementation may differ in: nothing."""

import sys
import types
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Literal

import pytest

from shop.contract import Event, Kind, Money, Service, atomic, query, saga
from shop.services import provide, substitute
from shop.services.registry import _providers
from tests.kernel.probes import Parcel

pytestmark = pytest.mark.once


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    when: date
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    leaves: tuple[Leaf, ...]
    parts: "Mapping[str, Tree]"


@dataclass
class Melting:
    size: int


@dataclass(frozen=True)
class Hiding:
    inside: Melting


type Names = Sequence[str]

GOOD = [
    int, str, bool, date, datetime, Decimal, Colour, Leaf, Tree, Money, Names, int | None, Literal["a", "b"],
    tuple[Leaf, ...], Mapping[str, Sequence[int]], frozenset[str], list[dict[str, tuple[int, str]]],
]  # fmt: skip
BAD = [
    Any, object, float, bytes, complex, Iterator[int], Callable[[], int], Parcel, Melting, Hiding, type, list,
    dict, Sequence,
    list[Any], Mapping[str, float], int | float, tuple[Melting, ...], Sequence[Sequence[object]], dict[str, Any] | None,
]  # fmt: skip


def declare(arguments, returns, kind=None):
    """A contract with one method of these types."""

    def method(self, *, given):
        raise NotImplementedError

    method.__annotations__ = {"given": arguments, "return": returns}
    body = {"context": "catalog", "ask": (kind or query(callers=("ordering",)))(method)}
    return types.new_class("Contract", (Service,), exec_body=lambda namespace: namespace.update(body))


@pytest.mark.parametrize("hint", GOOD, ids=str)
def test_plain_values_may_travel(hint):
    operation = declare(hint, hint).operations["ask"]
    assert (operation.kind, operation.returns) == (Kind.QUERY, hint)


@pytest.mark.parametrize("hint", BAD, ids=str)
def test_what_can_not_travel_is_refused_when_the_class_is_made(hint):
    with pytest.raises(TypeError, match=r"Contract\.ask\(given\)"):
        declare(hint, None)
    with pytest.raises(TypeError, match=r"Contract\.ask ->"):
        declare(int, hint)


def test_a_method_that_is_not_declared_is_refused():
    with pytest.raises(TypeError, match="ask must be declared"):

        class Contract(Service):
            context = "catalog"

            def ask(self, *, given: int) -> int:
                raise NotImplementedError


def test_positional_arguments_are_refused():
    with pytest.raises(TypeError, match="keyword-only"):

        class Contract(Service):
            context = "catalog"

            @query(callers=())
            def ask(self, given: int) -> int:
                raise NotImplementedError


def test_open_ended_arguments_are_refused():
    with pytest.raises(TypeError, match="keyword-only"):

        class Contract(Service):
            context = "catalog"

            @query(callers=())
            def ask(self, **given: int) -> int:
                raise NotImplementedError


def test_an_argument_without_a_type_is_refused():
    with pytest.raises(TypeError, match="'given' has no type"):

        class Contract(Service):
            context = "catalog"

            @query(callers=())
            def ask(self, *, given) -> int:
                raise NotImplementedError


def test_an_answer_without_a_type_is_refused():
    with pytest.raises(TypeError, match="no return type"):

        class Contract(Service):
            context = "catalog"

            @query(callers=())
            def ask(self, *, given: int):
                raise NotImplementedError


@pytest.mark.parametrize(
    "kind",
    [
        atomic(shard_key="other", key="given", callers=()),
        atomic(shard_key="given", key="other", callers=()),
        saga(key="other", callers=()),
    ],
)
def test_a_key_that_is_no_argument_is_refused(kind):
    with pytest.raises(TypeError, match="has no argument 'other'"):
        declare(str, None, kind)


def test_a_contract_with_postponed_annotations_works():
    source = """
from __future__ import annotations
from dataclasses import dataclass
from shop.contract import Service, query
@dataclass(frozen=True)
class Tea:
    name: str
class Contract(Service):
    context = "catalog"
    @query(callers=())
    def ask(self, *, given: tuple[Tea, ...]) -> Tea | None: ...
"""
    module = types.ModuleType("postponed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "postponed", module)
        exec(source, module.__dict__)  # noqa: S102  the source above
    assert module.Contract.operations["ask"].parameters == {"given": tuple[module.Tea, ...]}


# ---- implementations -----------------------------------------------------------------------------------------


class Kettle(Service):
    """A contract."""

    context = "catalog"

    @query(callers=("ordering",))
    def boil(self, *, litres: int, cups: Sequence[str] = ()) -> str | None:
        """Boil."""
        raise NotImplementedError


class Faithful(Kettle):
    def boil(self, *, litres: int, cups: Sequence[str] = ()) -> str | None:
        return None


class Renamed(Kettle):
    def boil(self, *, gallons: int, cups: Sequence[str] = ()) -> str | None:  # type: ignore[override]
        return None


class Retyped(Kettle):
    def boil(self, *, litres: str, cups: Sequence[str] = ()) -> str | None:  # type: ignore[override]
        return None


class Narrowed(Kettle):
    def boil(self, *, litres: int, cups: Sequence[str] = ()) -> str:
        return ""


class Longer(Kettle):
    def boil(self, *, litres: int, cups: Sequence[str] = (), lid: bool = True) -> str | None:
        return None


class Shorter(Kettle):
    def boil(self, *, litres: int) -> str | None:  # type: ignore[override]
        return None


class OtherDefault(Kettle):
    def boil(self, *, litres: int, cups: Sequence[str] = ("mine",)) -> str | None:
        return None


class NewDefault(Kettle):
    def boil(self, *, litres: int = 3, cups: Sequence[str] = ()) -> str | None:
        return None


class Positional(Kettle):
    def boil(self, litres: int, cups: Sequence[str] = ()) -> str | None:
        return None


class Lazy(Kettle):
    pass


class StillAbstract(Kettle):
    @abstractmethod
    def boil(self, *, litres: int, cups: Sequence[str] = ()) -> str | None:
        """Not here."""


@pytest.fixture
def no_providers():
    before = dict(_providers)
    yield
    _providers.clear()
    _providers.update(before)


def test_a_faithful_implementation_is_provided_once(no_providers):
    provide(Kettle, Faithful())
    with pytest.raises(RuntimeError, match="already"):
        provide(Kettle, Faithful())


DRIFTED = [Renamed, Retyped, Narrowed, Longer, Shorter, OtherDefault, NewDefault, Positional]


@pytest.mark.parametrize("kind", DRIFTED, ids=lambda kind: kind.__name__)
def test_an_implementation_that_differs_is_refused(kind, no_providers):
    with pytest.raises(TypeError, match="boil"):
        provide(Kettle, kind())
    with pytest.raises(TypeError, match="boil"), substitute(Kettle, kind()):
        pass
    assert Kettle not in _providers


@pytest.mark.parametrize("kind", [Lazy, StillAbstract])
def test_an_implementation_that_lacks_a_method_is_no_provider(kind, no_providers):
    with pytest.raises(TypeError):
        provide(Kettle, kind())
    assert Kettle not in _providers


def test_what_an_event_calls_personal_is_a_field_of_it():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Cried(Event):
        key: ClassVar[str] = "child_id"
        shard_key: ClassVar[str] = "child_id"
        personal: ClassVar[tuple[str, ...]] = ("why", "how")
        child_id: str
        why: str

    with pytest.raises(TypeError, match=r"personal names \['how'\]"):
        Cried.check()


def test_operations_that_name_no_callers_have_those_of_their_context():
    class OfAll(Service):
        @query(callers=())
        def asked(self, *, number: int) -> int: ...

        @query(callers=("ordering",))
        def told(self, *, number: int) -> int: ...

    class OfTea(OfAll):
        context = "tea"
        callers = ("auth",)

    found = {name: operation.callers for name, operation in OfTea.operations.items()}
    assert found == {"asked": {"auth"}, "told": {"ordering"}}
    assert OfAll.operations == {}
