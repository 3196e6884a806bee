"""One query on many shards: keyset pages merged by value, counts added up."""

import heapq
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import structlog
from django.db import InterfaceError, OperationalError, connections
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

from shop.observability.masking import masked
from shop.sharding.asked import note_asked
from shop.sharding.databases import in_use, leave_databases
from shop.sharding.deadlines import statements_within
from shop.sharding.errors import ShardUnavailable
from shop.sharding.ids import key_of_bucket
from shop.sharding.keys import aliases_demanded, finds_nothing
from shop.sharding.merging import Order, check_spreadable
from shop.sharding.shard_map import ShardMap, shard_map

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 2.0
LATER_SECONDS: Final = 0.1
"""After it was given up, a statement is ended, and its thread is free: so it is never the statement that says so."""
THREADS: Final = 2
"""For each shard, in each process: who waits for a slow one takes no thread from the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[M]:
    """Rows in the order asked; ``more`` if others follow; ``missing`` shards did not answer, see `Across`."""

    rows: Sequence[M]
    more: bool
    missing: Sequence[str] = ()


class Across[M: Model]:
    """A query on every shard that owns something, each row counted at its owner only; keys name the shards to ask.

    A shard that does not answer is an error, unless ``partial`` is asked for: then its rows are missing.

    Raises:
        MixedShards: Shards can't answer it one by one, such as a LIMIT, a union, groups, or a query pinned to one.
    """

    def __init__(
        self, queryset: QuerySet[M], context: str, buckets: Collection[int] | None = None, *, partial: bool = False
    ) -> None:
        check_spreadable(queryset)
        self._queryset = queryset
        self._context = context
        self._buckets = buckets
        self._partial = partial
        self._missing: list[str] = []

    @property
    def missing(self) -> Sequence[str]:
        """Shards that did not answer when they were asked last; none unless ``partial`` was asked for."""
        return tuple(self._missing)

    def count(self) -> int:
        """Number of rows on all shards."""
        return sum(self._each(lambda rows: rows.count()))

    def page(self, *, order: Sequence[str], limit: int, after: Sequence[Any] | None = None) -> Page[M]:
        """The first ``limit`` rows behind ``after`` in ``order``.

        Args:
            order: Field names, ``-`` for descending; the ID is one of them. None of the rows has null there.
            limit: The most rows.
            after: Values of the ``order`` fields of the last row already seen.

        Text is in the order of its code points, whatever the databases' collations say.

        Raises:
            ValueError: The order leaves rows in no certain place.
        """
        by = Order(self._queryset, order)

        def first(rows: QuerySet[M]) -> list[M]:
            rows, names = by.prepared(rows)
            behind = keyset(names, after) if after is not None else Q()
            return by.checked(list(rows.filter(behind).order_by(*names)[: limit + 1]))

        merged = list(heapq.merge(*self._each(first), key=by.key))
        return Page(rows=merged[:limit], more=len(merged) > limit, missing=self.missing)

    def rows(self) -> list[M]:
        """All rows, in no order. For queries that are bounded by nature."""
        return [row for part in self._each(list) for row in part]

    def _each[R](self, ask: Callable[[QuerySet[M]], R]) -> list[R]:
        owners = shard_map(self._context)
        aliases = self._to_ask(owners)
        for alias in aliases:
            note_asked(alias)  # those who ask are other threads, and know of no request
        queries = [self._queryset.using(alias).filter(owned(owners, alias)) for alias in aliases]
        if len(queries) < 2 or any(c.in_atomic_block for c in in_use()):  # noqa: PLR2004
            return self._answered(aliases, (partial(ask, query) for query in queries))
        named = list(zip(queries, aliases, strict=True))
        until = time.monotonic() + TIMEOUT_SECONDS
        try:
            asked = [_lane(os.getpid(), alias).submit(_in_thread, ask, query, until) for query, alias in named]
        except RuntimeError:  # the process is ending, and its threads take no more work
            return self._answered(aliases, (partial(ask, query) for query in queries))
        waits = zip(asked, aliases, strict=True)
        return self._answered(aliases, (partial(_answer, future, alias, until) for future, alias in waits))

    def _to_ask(self, owners: ShardMap) -> Sequence[str]:
        if finds_nothing(self._queryset.query):
            return []
        wanted = aliases_demanded(self._queryset.query) or set(owners.owners())
        if self._buckets is not None:
            wanted &= {owners.alias_of_bucket(bucket) for bucket in self._buckets}
        return [alias for alias in owners.owners() if alias in wanted]

    def _answered[R](self, aliases: Sequence[str], answers: Iterable[Callable[[], R]]) -> list[R]:
        self._missing = []
        found = []
        for alias, answer in zip(aliases, answers, strict=True):
            try:
                found.append(answer())
            except (OperationalError, InterfaceError) as error:
                if not self._partial:
                    raise
                log.warning("shard_missing", database=alias, reason=masked(str(error)))
                self._missing.append(alias)
        return found


def _in_thread[M: Model, R](ask: Callable[[QuerySet[M]], R], query: QuerySet[M], until: float) -> R:
    try:
        with statements_within(until + LATER_SECONDS - time.monotonic()):
            return ask(query)
    finally:
        leave_databases()


def _answer[R](future: Future[R], alias: str, until: float) -> R:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except FutureTimeout:
        future.cancel()
        raise ShardUnavailable(detail=f"{alias} did not answer within {TIMEOUT_SECONDS} s") from None


@cache
def _lane(pid: int, alias: str) -> ThreadPoolExecutor:
    """Threads of this very process, a fork has none of them, that ask one shard and are connected to no other."""
    lane = ThreadPoolExecutor(THREADS, thread_name_prefix=f"across-{alias}-{pid}")
    lanes.append(lane)
    return lane


lanes: list[ThreadPoolExecutor] = []


def leave_lanes() -> None:
    """End the threads, when they have done what they are at."""
    while lanes:
        lanes.pop().shutdown()
    _lane.cache_clear()


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
