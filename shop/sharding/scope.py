"""Transactions: one database at a time, named by what belongs there. The only door to `transaction.atomic`."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import connections, transaction

from shop.sharding.databases import home_of, in_use
from shop.sharding.errors import MixedShards, ShardMoved, ShardScopeMissing
from shop.sharding.generator import generator_of, in_own_transaction
from shop.sharding.guard import guard
from shop.sharding.ids import HOME_SLICE, bucket_of
from shop.sharding.shard_map import PATIENCE_SECONDS, learn, shard_map

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A statement on PostgreSQL that nobody waits for: it can go with the next one. ``%s`` stands for each value."""

    text: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The open transaction of this thread: which context, which database.

    Attributes:
        waiting: Changes that go with the next rows inserted, or before the transaction ends.
        afterwards: Callbacks, where one statement is the whole transaction; None where the transaction keeps them.
    """

    context: str
    alias: str
    waiting: list[Change] = field(default_factory=list, compare=False, repr=False)
    afterwards: list[Callable[[], object]] | None = field(default=None, compare=False, repr=False)

    def send_waiting(self) -> None:
        """Send the changes that wait, each by itself."""
        while self.waiting:
            change = self.waiting.pop(0)
            with connections[self.alias].prepared_cursor() as cursor:  # type: ignore[attr-defined]  # our own backend's
                cursor.execute(change.text, change.values)

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once this transaction has committed; its errors are logged, not raised."""
        if self.afterwards is None:
            transaction.on_commit(callback, using=self.alias, robust=True)
        else:
            self.afterwards.append(callback)


_scope: ContextVar[Scope | None] = ContextVar("shop_scope", default=None)
_switch_forbidden: ContextVar[str | None] = ContextVar("shop_switch_forbidden", default=None)


def current_scope() -> Scope | None:
    """The scope this thread is in, or None."""
    return _scope.get()


def required_scope(what: str) -> Scope:
    """The scope this thread is in.

    Raises:
        ShardScopeMissing: It is in none; ``what`` names what needed one.
    """
    scope = _scope.get()
    if scope is None:
        raise ShardScopeMissing(f"{what} outside `shard_atomic`")
    return scope


@contextmanager
def shard_atomic(context: str, key: int, *more_keys: int) -> Iterator[Scope]:
    """One transaction on the shard of ``key``; sharded models of ``context`` can be written inside it.

    Its first statement makes sure that the shard owns the keys' buckets until the end. A shard that does not, since
    this process's map is old, is found before anything else is done: the transaction begins again where they are now.
    Nested in a scope of the same shard it joins that transaction.

    Raises:
        MixedShards: The keys lie on different shards, or another shard's scope is open.
        ShardMoved: Nobody owned them for some seconds.
    """
    buckets = sorted({bucket_of(each) for each in (key, *more_keys)})
    with _enter(context, lambda: _owner_of_all(context, buckets), buckets) as scope:
        yield scope


@contextmanager
def home_atomic(context: str) -> Iterator[Scope]:
    """One transaction on the home of ``context``."""
    with _enter(context, lambda: home_of(context), [HOME_SLICE]) as scope:
        yield scope


@contextmanager
def _enter(context: str, route: Callable[[], str], buckets: Sequence[int]) -> Iterator[Scope]:
    outer = _scope.get()
    if outer is not None:
        if outer.alias != (alias := route()):
            raise MixedShards(f"a transaction on {outer.alias} is open; {alias} needs one of its own")
        with transaction.atomic(using=alias, savepoint=False) if outer.afterwards is None else nullcontext():
            yield outer
        return
    alias, opened = _opened(context, route, buckets)
    with opened:
        scope = Scope(context=context, alias=alias)
        token = _scope.set(scope)
        try:
            yield scope
            scope.send_waiting()
        finally:
            _scope.reset(token)


def _opened(context: str, route: Callable[[], str], buckets: Sequence[int]) -> tuple[str, ExitStack]:
    """An open transaction where the buckets are, and its alias."""
    until, moved = time.monotonic() + PATIENCE_SECONDS, None
    while True:
        try:
            alias = route()
        except MixedShards as mixed:
            raise (moved or mixed) from None  # if they have parted meanwhile, the caller has to group them anew
        _refuse_switch(alias)
        generator_of(context).ensure_window()
        try:
            with ExitStack() as opened:
                opened.enter_context(transaction.atomic(using=alias, durable=True))
                guard(alias, buckets)
                return alias, opened.pop_all()
        except ShardMoved as refused:
            learn(context, refused, until)
            moved = refused


def _owner_of_all(context: str, buckets: Sequence[int]) -> str:
    owners = shard_map(context)
    alias = owners.alias_of_bucket(buckets[0])
    if any(owners.alias_of_bucket(bucket) != alias for bucket in buckets):
        raise MixedShards(f"keys of {context} lie on different shards, so one transaction can't hold them")
    return alias


def rerouted[R](context: str, work: Callable[[], R]) -> R:
    """Result of ``work``, which is done again where a shard refused it by a newer map.

    For what has no effect outside of one transaction, and for what may be repeated anyhow. Within an open scope it is
    done once: there, the first statement has made sure.

    Raises:
        ShardMoved: Nobody owned the rows for some seconds.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return work()
        except ShardMoved as refused:
            if _scope.get() is not None:
                raise
            learn(context, refused, until)


@contextmanager
def shard_at_once(context: str, key: int) -> Iterator[Scope]:
    """As `shard_atomic`, for all that can be written by one statement: that needs no BEGIN and no COMMIT on PostgreSQL.

    There the fence alone stands guard, and its refusal comes at the end: see `rerouted`.

    Raises:
        RuntimeError: A second statement was to be run.
        MixedShards: Another shard's scope is open.
        ShardMoved: The shard does not own the rows.
    """
    alias = shard_map(context).alias_of_bucket(bucket_of(key))
    connection = connections[alias]
    if _scope.get() is not None or connection.in_atomic_block or connection.vendor != "postgresql":
        with shard_atomic(context, key) as scope:
            yield scope
        return
    _refuse_switch(alias)
    generator_of(context).ensure_window()
    scope = Scope(context=context, alias=alias, afterwards=[])
    token = _scope.set(scope)
    try:
        with connection.execute_wrapper(_Once()):
            yield scope
            scope.send_waiting()
    finally:
        _scope.reset(token)
    for callback in scope.afterwards or ():
        try:
            callback()
        except Exception:
            log.exception("callback_failed", database=alias)


class _Once:
    """Lets one statement through: a second one would be a transaction of its own."""

    def __init__(self) -> None:
        self._used = False

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if self._used:
            raise RuntimeError("a second statement in a scope for one: it needs `shard_atomic`")
        self._used = True
        return execute(sql, params, many, context)


def _refuse_switch(alias: str) -> None:
    pinned = _switch_forbidden.get()
    if pinned is not None and pinned != alias:
        raise MixedShards(f"switching from {pinned} to {alias} is forbidden here")


@contextmanager
def single_statement(context: str, key: int) -> Iterator[None]:
    """One statement on the shard of ``key``, in the open transaction or as one of its own, which needs no BEGIN.

    Raises:
        MixedShards: A transaction on another shard is open, or switching to this shard is forbidden here.
    """
    alias = shard_map(context).alias_of_bucket(bucket_of(key))
    outer = _scope.get()
    if outer is not None and outer.alias != alias:
        raise MixedShards(f"a transaction on {outer.alias} is open; {alias} needs one of its own")
    _refuse_switch(alias)
    in_test_case = outer is None and connections[alias].in_atomic_block
    with transaction.atomic(using=alias) if in_test_case else nullcontext():
        yield  # the transaction around a test survives the statement's error only behind a savepoint


@contextmanager
def savepoint() -> Iterator[None]:
    """A part of the open scope's transaction that can be undone alone, and what waits in it with it."""
    scope = required_scope("a savepoint")
    scope.send_waiting()
    try:
        with transaction.atomic(using=scope.alias):
            yield
            scope.send_waiting()
    finally:
        scope.waiting.clear()


@contextmanager
def forbid_shard_switch(alias: str) -> Iterator[None]:
    """Refuse transactions on any shard but ``alias`` inside this block."""
    token = _switch_forbidden.set(alias)
    try:
        yield
    finally:
        _switch_forbidden.reset(token)


def open_transactions() -> list[str]:
    """Aliases on which this thread has a transaction open, test cases' own aside."""
    return [c.alias for c in in_use() if in_own_transaction(c.alias)]
