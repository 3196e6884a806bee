"""Transactions: one database at a time, named by what belongs there. The only door to `transaction.atomic`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

from django.db import connections, transaction

from shop.sharding.databases import home_of
from shop.sharding.errors import MixedShards, ShardScopeMissing
from shop.sharding.generator import generator_of, in_own_transaction
from shop.sharding.ids import bucket_of
from shop.sharding.shard_map import shard_map


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The open transaction of this thread: which context, which database."""

    context: str
    alias: str

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once this transaction has committed; its errors are logged, not raised."""
        transaction.on_commit(callback, using=self.alias, robust=True)


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

    Nested in a scope of the same shard it joins that transaction.

    Raises:
        MixedShards: The keys lie on different shards, or another shard's scope is open.
    """
    owners = shard_map(context)
    alias = owners.alias_of_bucket(bucket_of(key))
    for other in more_keys:
        if owners.alias_of_bucket(bucket_of(other)) != alias:
            raise MixedShards(f"keys of {context} lie on different shards, so one transaction can't hold them")
    with _enter(context, alias) as scope:
        # The fence comes here: the guard is the outermost transaction's first statement, before any work of the caller.
        yield scope


@contextmanager
def home_atomic(context: str) -> Iterator[Scope]:
    """One transaction on the home of ``context``."""
    with _enter(context, home_of(context)) as scope:
        yield scope


@contextmanager
def _enter(context: str, alias: str) -> Iterator[Scope]:
    outer = _scope.get()
    if outer is not None:
        if outer.alias != alias:
            raise MixedShards(f"a transaction on {outer.alias} is open; {alias} needs one of its own")
        with transaction.atomic(using=alias, savepoint=False):
            yield outer
        return
    _refuse_switch(alias)
    generator_of(context).ensure_window()
    scope = Scope(context=context, alias=alias)
    with transaction.atomic(using=alias, durable=True):
        token = _scope.set(scope)
        try:
            yield scope
        finally:
            _scope.reset(token)


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
    """A part of the open scope's transaction that can be undone alone."""
    with transaction.atomic(using=required_scope("a savepoint").alias):
        yield


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
    return [c.alias for c in connections.all(initialized_only=True) if in_own_transaction(c.alias)]
