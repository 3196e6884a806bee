"""Rows that are one relay's for some seconds, taken by a fenced lease: each has a token, and ends by itself.

Claims go by when a row is due, never by an ID watermark: a lower ID may commit later. Only rows in buckets that the
database owns are seen. What an outbox holds by the thousand is claimed and let go by one statement each.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final

from django.db.models import Q

from shop.events.envelope import Envelope
from shop.events.models import InboxEntry, OutboxEvent
from shop.sharding import context_of_alias, key_of_bucket, shard_atomic, shard_map
from shop.sharding.errors import ShardMoved
from shop.sharding.scatter import owned
from shop.sharding.statements import Row, Statement, parsed

LEASE_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has claimed some rows of one database. Lost by who is frozen for long: then nothing is changed any more."""

    alias: str
    table: str
    token: str

    def held[T](self, rows: Sequence[T], *, ids_of: Callable[[T], Sequence[int]]) -> Iterator[T]:
        """What was claimed one by one, rows or batches of them, the lease on those that remain renewed in time.

        So a lease is short, and what a dead relay had claimed is free again within seconds.
        """
        renew_at = time.monotonic() + LEASE_SECONDS / 2
        for position, row in enumerate(rows):
            if time.monotonic() > renew_at:
                remaining = [each for other in rows[position:] for each in ids_of(other)]
                if len(self._change(remaining, lease_until=_end())) < len(remaining):
                    return  # frozen for long: somebody else has taken over
                renew_at = time.monotonic() + LEASE_SECONDS / 2
            yield row

    def let_go(self, ids: Sequence[int], **changes: Any) -> None:
        """End the lease on those of the rows that are still held, and change them."""
        if ids:
            self._change(ids, lease_token=None, lease_until=None, **changes)

    def _change(self, ids: Sequence[int], **changes: Any) -> list[Row]:
        return _run(self.alias, _changing(self.table, tuple(changes)), ids=list(ids), held_by=self.token, **changes)


def claim_events(alias: str, most: int) -> tuple[Lease, list[Envelope]]:
    """Lease what is due in the outbox of ``alias``, in that order.

    An event waits for the earlier ones of its key: those that are due later, since they were postponed, and those in
    another relay's hands.
    """
    lease = Lease(alias, OutboxEvent._meta.db_table, uuid.uuid4().hex)
    rows = _run(alias, _claiming(_slices(alias), most), token=lease.token, now=datetime.now(UTC), until=_end())
    return lease, [_envelope(row) for row in sorted(rows, key=lambda row: (row[-1], row[0]))]


def claim_entries(alias: str, most: int) -> tuple[Lease, list[InboxEntry]]:
    """Lease what is to be tried again in the inbox of ``alias``, in the order in which it is due."""
    lease, now = Lease(alias, InboxEntry._meta.db_table, uuid.uuid4().hex), datetime.now(UTC)
    entries = InboxEntry.objects.using(alias).filter(owned(shard_map(context_of_alias(alias)), alias))
    free = entries.filter(Q(lease_until=None) | Q(lease_until__lt=now), state=InboxEntry.State.RETRY, next_at__lte=now)
    if not free.exists():
        return lease, []
    with _entered(alias):
        rows = list(free.order_by("next_at", "event_seq").select_for_update(skip_locked=True)[:most])
        held = {"lease_token": uuid.UUID(lease.token), "lease_until": _end()}
        entries.filter(pk__in=[row.pk for row in rows]).update(**held)
    return lease, rows


COLUMNS: Final = "id, topic, key, event_seq, shard_key, payload, traceparent, actor, causation, available_at"


@lru_cache(maxsize=100)
def _claiming(slices: Sequence[tuple[int, int]], most: int) -> Statement:
    """The slices are in the text, so that PostgreSQL knows that nearly all is in them, and reads by what is due."""
    mine = " OR ".join(f"o.id BETWEEN {low} AND {high}" for low, high in slices)
    text = f"""
        WITH due AS MATERIALIZED (
          SELECT o.id FROM shop_outboxevent o
          WHERE o.state = 'pending' AND o.available_at <= %(now)s AND ({mine})
            AND (o.lease_until IS NULL OR o.lease_until < %(now)s)
            AND NOT EXISTS (
              SELECT 1 FROM shop_outboxevent e
              WHERE e.state = 'pending' AND e.key = o.key AND e.event_seq < o.event_seq
                AND ((e.available_at, e.id) > (o.available_at, o.id) OR e.lease_until > %(now)s))
          ORDER BY o.available_at, o.id LIMIT {most} FOR UPDATE SKIP LOCKED)
        UPDATE shop_outboxevent SET lease_token = %(token)s, lease_until = %(until)s
        WHERE id IN (SELECT id FROM due) RETURNING {COLUMNS}"""  # noqa: S608  names and numbers of ours
    sqlites = text.replace("FOR UPDATE SKIP LOCKED", "").replace("o.id BETWEEN", "+o.id BETWEEN")  # as `owned` has it
    return Statement(postgresql=text, sqlite=(sqlites,))


@cache
def _changing(table: str, columns: Sequence[str]) -> Statement:
    changes = ", ".join(f"{column} = %({column})s" for column in columns)
    return Statement.shared(f"""
        UPDATE {table} SET {changes}
        WHERE id IN (SELECT value FROM json_each(%(ids)s)) AND lease_token = %(held_by)s RETURNING id""")  # noqa: S608  as above


def _envelope(row: Row) -> Envelope:
    event_id, topic, key, event_seq, shard_key, payload, traceparent, actor, causation, _ = row
    return Envelope(
        event_id=event_id,
        topic=topic,
        key=key,
        event_seq=event_seq,
        shard_key=shard_key,
        payload=parsed(payload),
        traceparent=traceparent,
        actor=actor,
        causation=causation,
    )


def _slices(alias: str) -> tuple[tuple[int, int], ...]:
    """First and last ID of each slice that ``alias`` owns."""
    slices = shard_map(context_of_alias(alias)).slices_of(alias)
    return tuple((key_of_bucket(lo), key_of_bucket(hi + 1) - 1) for lo, hi in slices)


def _end() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)


@contextmanager
def _entered(alias: str) -> Iterator[int]:
    """One transaction on ``alias``, entered by a bucket it owns so that the fence applies; the key of that."""
    context = context_of_alias(alias)
    key = _slices(alias)[0][0]
    with shard_atomic(context, key) as scope:
        if scope.alias != alias:
            raise ShardMoved(epoch=0, detail=f"{alias} owns nothing here any more; try again")
        yield key


def _run(alias: str, statement: Statement, **values: Any) -> list[Row]:
    with _entered(alias) as key:
        return statement.write(context_of_alias(alias), key, **values)
