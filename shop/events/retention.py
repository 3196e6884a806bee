"""How far back outbox and inbox reach, and the chore that forgets what lies before. The kernel's `apps` declares it.

An event can come for as long as its outbox has it, to be replayed, and then for as long as a message of it is believed.
The inbox remembers it for longer than both together; what comes even later is not run, see `shop.events.inbox`.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Exists, OuterRef

from shop.events.aggregates import teller_of
from shop.events.broker.sealing import OLDEST
from shop.events.jobs import one_by_one
from shop.events.models import ForgottenEvents, InboxEntry, OutboxEvent
from shop.sharding import (
    BUCKETS,
    aliases_of,
    created_ms_of,
    key_of_bucket,
    random_bucket,
    shard_atomic,
    shard_map,
)
from shop.sharding.ids import BUCKET_SHIFT, key_made_at
from shop.sharding.models import PlacedModel
from shop.sharding.statements import Statement

BATCH: Final = 500
RUN_SECONDS: Final = 1.0
"""A run ends after that, so that the other jobs of its context have their turn; the next one goes on."""
CLOCKS_DIFFER: Final = timedelta(days=1)
OVER: Final = (OutboxEvent.State.HANDED_OVER, OutboxEvent.State.SKIPPED)
SETTLED: Final = (InboxEntry.State.DONE, InboxEntry.State.SKIPPED)
OPEN: Final = (InboxEntry.State.RETRY, InboxEntry.State.DEAD)


def kept() -> timedelta:
    """How long an outbox keeps what was handed over or skipped, from when it was published: so long it is replayed."""
    return timedelta(days=settings.EVENTS_KEPT_DAYS)


def is_remembered(event_id: int) -> bool:
    """Whether an inbox that has no entry of this event says that it was not here: what is older may be forgotten."""
    return created_ms_of(event_id) > _ms(datetime.now(UTC) - kept() - OLDEST)


def forget_old_events(context: str, now: datetime | None = None) -> int:
    """Delete what is long done with from outboxes and inboxes, on every shard; returns how many rows.

    What is pending, is to be tried again or is dead stays. Database: short transactions, of one bucket each.
    """
    moment = now or datetime.now(UTC)
    return one_by_one(aliases_of(context), lambda alias: _forget_on(context, alias, moment))


def _forget_on(context: str, alias: str, now: datetime) -> int:
    outbox, inbox, until = now - kept(), now - kept() - OLDEST - CLOCKS_DIFFER, time.monotonic() + RUN_SECONDS
    events = [(bucket, outbox, _forget_events) for bucket in _buckets(context, alias, OLD_EVENTS, outbox)]
    entries = [(bucket, inbox, _forget_entries) for bucket in _buckets(context, alias, OLD_ENTRIES, inbox)]
    return one_by_one([*events, *entries], lambda each: _in_batches(context, *each, until=until))


# ---- where there is something to forget ----------------------------------------------------------------------


def _with_old(model: type[PlacedModel], states: Sequence[str]) -> Statement:
    names = ", ".join(f"'{state}'" for state in states)
    return Statement.shared(f"""
        WITH RECURSIVE buckets(bucket) AS (
            SELECT CAST(%(lo)s AS bigint) UNION ALL SELECT bucket + 1 FROM buckets WHERE bucket < %(hi)s
        )
        SELECT bucket FROM buckets WHERE EXISTS (
            SELECT 1 FROM {model._meta.db_table}
            WHERE id >= bucket << {BUCKET_SHIFT} AND id < (bucket << {BUCKET_SHIFT}) + %(width)s
              AND created_at < %(before)s AND state IN ({names})
        )""")  # noqa: S608  our own names


OLD_EVENTS: Final = _with_old(OutboxEvent, OVER)
OLD_ENTRIES: Final = _with_old(InboxEntry, SETTLED)
"""Within a bucket IDs are in order of time, so the primary key is all it takes: no event pays for another index."""


def _buckets(context: str, alias: str, question: Statement, before: datetime) -> list[int]:
    """From anywhere on: a bucket with much that has to stay does not hold up the same others in each run."""
    width = key_made_at(0, _ms(before))
    found = [
        bucket
        for lo, hi in shard_map(context).slices_of(alias)
        for (bucket,) in question.read(context, key_of_bucket(lo), lo=lo, hi=hi, width=width, before=before)
    ]
    begin = random_bucket()
    return sorted(found, key=lambda bucket: (bucket - begin) % BUCKETS)


# ---- forgetting ----------------------------------------------------------------------------------------------


def _in_batches(
    context: str, bucket: int, before: datetime, forget: Callable[[str, Any], tuple[int, int]], *, until: float
) -> int:
    total, after = 0, key_of_bucket(bucket) - 1
    while after and time.monotonic() < until:
        old = {"pk__gt": after, "pk__lt": key_made_at(bucket, _ms(before)), "created_at__lt": before}
        with shard_atomic(context, key_of_bucket(bucket)) as scope:
            gone, after = forget(scope.alias, old)
        total += gone
    return total


def _forget_events(alias: str, old: dict[str, Any]) -> tuple[int, int]:
    """Delete events that are over, and leave marks. What stands behind a gap stays: a loss would be hidden.

    Returns how many are gone, and the last that was looked at if others may follow; so does `_forget_entries`.
    """
    found = OutboxEvent.objects.using(alias).filter(state__in=OVER, **old).only("topic", "key", "event_seq")
    rows = list(found.select_for_update(skip_locked=True).order_by("pk")[:BATCH])
    marks = ForgottenEvents.objects.using(alias).filter(key__in={row.key for row in rows})
    reached = {(mark.key, mark.aggregate): mark.event_seq for mark in marks}
    gone, moved = [], {}
    for row in sorted(rows, key=lambda row: row.event_seq):
        aggregate = teller_of(row.topic)
        if aggregate is None:
            gone.append(row.pk)
        elif row.event_seq == reached.get(place := (row.key, aggregate), 0) + 1:
            gone.append(row.pk)
            reached[place] = row.event_seq
            moved[place] = ForgottenEvents(id=row.pk, key=row.key, aggregate=aggregate, event_seq=row.event_seq)
    OutboxEvent.objects.using(alias).filter(pk__in=gone).delete()
    ForgottenEvents.objects.using(alias).bulk_create(
        moved.values(), update_conflicts=True, unique_fields=("key", "aggregate"), update_fields=("event_seq",)
    )
    return len(gone), rows[-1].pk if len(rows) == BATCH else 0


def _forget_entries(alias: str, old: dict[str, Any]) -> tuple[int, int]:
    """Delete what handlers are done with, except behind an earlier event of the key that is still open.

    Where the latest wins, that one has to find out that it was overtaken.
    """
    entries = InboxEntry.objects.using(alias)
    same = {"handler": OuterRef("handler"), "key": OuterRef("key"), "event_seq__lt": OuterRef("event_seq")}
    done_with = entries.filter(~Exists(entries.filter(state__in=OPEN, **same)), state__in=SETTLED, **old)
    gone = list(done_with.order_by("pk").values_list("pk", flat=True)[:BATCH])
    entries.filter(pk__in=gone).delete()
    return len(gone), gone[-1] if len(gone) == BATCH else 0


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)
