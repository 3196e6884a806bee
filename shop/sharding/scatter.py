"""One query on many shards: keyset pages merged by value, counts added up."""

import heapq
import operator
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.db import close_old_connections, connections
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

from shop.sharding.errors import ShardUnavailable
from shop.sharding.ids import key_of_bucket
from shop.sharding.shard_map import ShardMap, shard_map

TIMEOUT_SECONDS: Final = 2.0
THREADS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[M]:
    """Rows in the order asked; ``more`` if others follow."""

    rows: Sequence[M]
    more: bool


class Across[M: Model]:
    """A query on every shard that owns something, each row counted at its owner only."""

    def __init__(self, queryset: QuerySet[M], context: str, buckets: Collection[int] | None) -> None:
        self._queryset = queryset
        self._map = shard_map(context)
        wanted = self._map.owners()
        if buckets is not None:
            owners = {self._map.alias_of_bucket(bucket) for bucket in buckets}
            wanted = [alias for alias in wanted if alias in owners]
        self._aliases = wanted

    def count(self) -> int:
        """Number of rows on all shards."""
        return sum(self._each(lambda rows: rows.count()))

    def page(self, *, order: Sequence[str], limit: int, after: Sequence[Any] | None = None) -> Page[M]:
        """The first ``limit`` rows behind ``after`` in ``order``.

        Args:
            order: Field names, ``-`` for descending; together unique, and not null.
            limit: The most rows.
            after: Values of the ``order`` fields of the last row already seen.

        Text is compared by code point: order by columns that are folded and collated accordingly.
        """
        behind = keyset(order, after) if after is not None else Q()
        parts = self._each(lambda rows: list(rows.filter(behind).order_by(*order)[: limit + 1]))
        merged = list(heapq.merge(*parts, key=lambda row: _Key(row, order)))
        return Page(rows=merged[:limit], more=len(merged) > limit)

    def rows(self) -> list[M]:
        """All rows, in no order. For queries that are bounded by nature."""
        return [row for part in self._each(list) for row in part]

    def _each[R](self, ask: Callable[[QuerySet[M]], R]) -> list[R]:
        queries = [self._queryset.using(alias).filter(owned(self._map, alias)) for alias in self._aliases]
        if len(queries) == 1 or any(c.in_atomic_block for c in connections.all(initialized_only=True)):
            return [ask(query) for query in queries]
        asked = [_executor().submit(_in_thread, ask, query) for query in queries]
        until = time.monotonic() + TIMEOUT_SECONDS
        return [_answer(future, alias, until) for future, alias in zip(asked, self._aliases, strict=True)]


def _in_thread[M: Model, R](ask: Callable[[QuerySet[M]], R], query: QuerySet[M]) -> R:
    close_old_connections()
    return ask(query)


def _answer[R](future: Future[R], alias: str, until: float) -> R:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except FutureTimeout:
        future.cancel()
        raise ShardUnavailable(detail=f"{alias} did not answer within {TIMEOUT_SECONDS} s") from None


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="across")


def owned(owners: ShardMap, alias: str) -> Q:
    """Rows whose bucket ``alias`` owns. While a slice moves, both sides have its rows."""
    # Nearly every row meets this. SQLite, without statistics, takes a range of the primary key for the best way in all
    # the same and sorts the whole table; a computed value leaves it the index that is meant.
    key: F | CombinedExpression = F("pk") + 0 if connections[alias].vendor == "sqlite" else F("pk")
    condition = Q(pk__in=())
    for lo, hi in owners.slices_of(alias):
        low, high = key_of_bucket(lo), key_of_bucket(hi + 1) - 1
        condition |= Q(GreaterThanOrEqual(key, low), LessThanOrEqual(key, high))
    return condition


def keyset(order: Sequence[str], after: Sequence[Any]) -> Q:
    """Rows strictly behind the row whose ``order`` fields have the values ``after``."""
    condition, same = Q(), Q()
    for name, value in zip(order, after, strict=True):
        field, beyond = name.removeprefix("-"), "lt" if name.startswith("-") else "gt"
        condition |= same & Q(**{f"{field}__{beyond}": value})
        same &= Q(**{field: value})
    first, up_to = order[0].removeprefix("-"), "lte" if order[0].startswith("-") else "gte"
    return Q(**{f"{first}__{up_to}": after[0]}) & condition  # implied, but where an index can begin


class _Key:
    """Orders rows as their shards did."""

    __slots__ = ("order", "row")

    def __init__(self, row: Model, order: Sequence[str]) -> None:
        self.row, self.order = row, order

    def __lt__(self, other: "_Key") -> bool:
        for name in self.order:
            mine, theirs = (operator.attrgetter(name.lstrip("-"))(key.row) for key in (self, other))
            if mine != theirs:
                return bool(mine > theirs if name.startswith("-") else mine < theirs)
        return False
