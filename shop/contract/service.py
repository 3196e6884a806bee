"""How a context declares what it does for others, and what a declaration may say."""

import abc
import enum
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from shop.contract.errors import ContextError

_PLAIN = (str, int, bool, date, datetime, Decimal, types.NoneType)
_CONTAINERS = (tuple, list, frozenset, Sequence, Mapping, dict, Collection)


class Kind(enum.Enum):
    """How an operation may be repeated."""

    QUERY = "query"
    ATOMIC = "atomic"
    SAGA = "saga"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What both sides need to know of one method.

    Attributes:
        kind: ``QUERY`` is safe to repeat; ``ATOMIC`` runs in one transaction of the pipeline, its outcome is stored
            under its key; ``SAGA`` touches several shards or services and is repeatable by its own rows.
        timeout_seconds: The most a caller waits.
        errors: Every error class the method may raise.
        callers: Contexts that may call it, in every mode.
        shard_key: Argument that decides the shard, for ``ATOMIC``.
        key: Argument under which a command may be sent again.
        max_batch: The most items any sequence among the arguments may hold.
    """

    name: str
    kind: Kind
    timeout_seconds: float
    errors: tuple[type[ContextError], ...]
    callers: frozenset[str]
    shard_key: str | None = None
    key: str | None = None
    max_batch: int = 1_500
    parameters: Mapping[str, object]
    returns: object


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declaration:
    kind: Kind
    timeout_seconds: float
    errors: tuple[type[ContextError], ...]
    callers: frozenset[str]
    shard_key: str | None = None
    key: str | None = None
    max_batch: int = 1_500


class Service(abc.ABC):
    """A context's interface. Declared once in its ``contract.py``; ``context`` names the provider.

    A class that sets ``context`` in its own body is a contract and is checked when it is created; any other
    subclass is an implementation and is checked when it is provided.

    Attributes:
        context: The provider.
        callers: Who may call the operations that name nobody themselves.
    """

    context: ClassVar[str]
    callers: ClassVar[tuple[str, ...]] = ()
    operations: ClassVar[Mapping[str, Operation]] = {}

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "context" in cls.__dict__:
            members = [member for kind in reversed(cls.__mro__) if kind is not Service for member in vars(kind).items()]
            methods = {name: m for name, m in members if inspect.isfunction(m) and not name.startswith("_")}
            if stray := sorted(name for name, method in methods.items() if not hasattr(method, "__declaration__")):
                raise TypeError(f"{cls.__qualname__}: {', '.join(stray)} must be declared @query, @atomic or @saga")
            cls.operations = {name: _operation(cls, name, method) for name, method in methods.items()}


type _Method[**P, R] = Callable[P, R]


def query[**P, R](
    *,
    callers: Collection[str],
    timeout_seconds: float = 1.0,
    errors: tuple[type[ContextError], ...] = (),
    max_batch: int = 1_500,
) -> Callable[[_Method[P, R]], _Method[P, R]]:
    """Declare a read that is safe to repeat."""
    return _declare(
        _Declaration(
            kind=Kind.QUERY,
            timeout_seconds=timeout_seconds,
            errors=errors,
            callers=frozenset(callers),
            max_batch=max_batch,
        )
    )


def atomic[**P, R](
    *,
    shard_key: str,
    key: str,
    callers: Collection[str],
    timeout_seconds: float = 3.0,
    errors: tuple[type[ContextError], ...] = (),
) -> Callable[[_Method[P, R]], _Method[P, R]]:
    """Declare a command of one transaction: effect and outcome commit together, the same key gives the same outcome."""
    return _declare(
        _Declaration(
            kind=Kind.ATOMIC,
            timeout_seconds=timeout_seconds,
            errors=errors,
            callers=frozenset(callers),
            shard_key=shard_key,
            key=key,
        )
    )


def saga[**P, R](
    *,
    key: str,
    callers: Collection[str],
    timeout_seconds: float = 5.0,
    errors: tuple[type[ContextError], ...] = (),
) -> Callable[[_Method[P, R]], _Method[P, R]]:
    """Declare a command over several shards or services, repeatable by its own rows under ``key``."""
    return _declare(
        _Declaration(
            kind=Kind.SAGA,
            timeout_seconds=timeout_seconds,
            errors=errors,
            callers=frozenset(callers),
            key=key,
        )
    )


def _declare[**P, R](declaration: _Declaration) -> Callable[[_Method[P, R]], _Method[P, R]]:
    def mark(method: _Method[P, R]) -> _Method[P, R]:
        method.__declaration__ = declaration  # type: ignore[attr-defined]  # functions take attributes
        return abc.abstractmethod(method)

    return mark


def _operation(contract: type[Service], name: str, method: Callable[..., object]) -> Operation:
    declaration: _Declaration = method.__declaration__  # type: ignore[attr-defined]  # set by _declare
    parameters = signature_types(method)
    returns = parameters.pop("return")
    place = f"{contract.__qualname__}.{name}"
    for argument, hint in parameters.items():
        _refuse_unsafe(hint, f"{place}({argument})")
    _refuse_unsafe(returns, f"{place} -> ")
    for role in (declaration.shard_key, declaration.key):
        if role is not None and role not in parameters:
            raise TypeError(f"{place} has no argument {role!r}")
    declared = {each: getattr(declaration, each) for each in _DECLARED}
    declared["callers"] = declaration.callers or frozenset(contract.callers)
    return Operation(name=name, parameters=parameters, returns=returns, **declared)


_DECLARED = tuple(field.name for field in fields(_Declaration))


def signature_types(method: Callable[..., object]) -> dict[str, object]:
    """Types of all arguments of ``method``, in order, and of its ``return``.

    Raises:
        TypeError: An argument is not keyword-only, or something has no type.
    """
    hints = typing.get_type_hints(method, include_extras=True)
    found: dict[str, object] = {}
    for name, parameter in list(inspect.signature(method).parameters.items())[1:]:
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"{method.__qualname__}: argument {name!r} must be keyword-only")
        if name not in hints:
            raise TypeError(f"{method.__qualname__}: argument {name!r} has no type")
        found[name] = hints[name]
    if "return" not in hints:
        raise TypeError(f"{method.__qualname__} has no return type")
    return {**found, "return": hints["return"]}


def _refuse_unsafe(hint: object, place: str, seen: frozenset[object] = frozenset()) -> None:
    """Refuse what can't travel: only plain values, enums, frozen dataclasses and containers of those may."""
    if isinstance(hint, typing.TypeAliasType):
        hint = hint.__value__
    for inner, where in _parts(hint, place):
        if inner not in seen:
            _refuse_unsafe(inner, where, seen | {inner})


def _parts(hint: object, place: str) -> list[tuple[object, str]]:
    """What ``hint`` is made of; empty for a plain value.

    Raises:
        TypeError: ``hint`` is neither plain nor made of parts.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType) or origin in _CONTAINERS:
        return [(argument, place) for argument in typing.get_args(hint) if argument is not Ellipsis]
    if origin is typing.Literal:
        return []
    if isinstance(hint, type) and is_dataclass(hint):
        if not hint.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # every dataclass has it
            raise TypeError(f"{place}: {hint.__qualname__} must be a frozen dataclass")
        inner = typing.get_type_hints(hint, include_extras=True)
        return [(t, f"{place}.{name}") for name, t in inner.items() if typing.get_origin(t) is not ClassVar]
    if isinstance(hint, type) and (hint in _PLAIN or issubclass(hint, enum.Enum)):
        return []
    raise TypeError(f"{place}: {hint!r} can't cross a context's border")
