"""Invariant 10: the outbox is drained or young, and no event is lost between an aggregate's number and the outbox."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache, partial
from typing import Final

from django.db import connections
from django.db.models import Model, Q

from shop.events.aggregates import aggregate_name, aggregates, topics_told
from shop.events.models import ForgottenEvents, InboxEntry, OutboxEvent
from shop.invariants.registry import invariant
from shop.invariants.windows import WINDOW, Window, over, windows
from shop.invariants.words import Check, Finding, shown
from shop.sharding import bucket_of, context_of_alias, key_of_bucket, shard_map
from shop.sharding.ids import BUCKET_SHIFT
from shop.sharding.public_ids import public_id
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import owned

PENDING: Final = Q(state=OutboxEvent.State.PENDING)


def declare_events() -> None:
    """The kernel's `apps` comes in here."""
    numbered = [over(model, partial(lost, model)) for model in aggregates()]
    invariant(
        "10",
        "every event is handed over, or young, and none is lost between an aggregate's event_seq and the outbox",
        Check(places=all_aliases, parts=_pending_windows, look=waiting),
        *numbered,
        under_way=events_under_way,
    )


def events_under_way(moment: datetime) -> bool:
    """Whether an event from before ``moment`` is not handed over yet, or waits for a handler that failed.

    One that a handler has given up is over: nobody will touch it by itself.
    """
    return any(_waits_on(alias, moment) for alias in all_aliases())


def _waits_on(alias: str, moment: datetime) -> bool:
    here = owned(shard_map(context_of_alias(alias)), alias)
    outbox = OutboxEvent.objects.using(alias).filter(here, PENDING, created_at__lte=moment)
    inbox = InboxEntry.objects.using(alias).filter(here, state=InboxEntry.State.RETRY, created_at__lte=moment)
    return outbox.exists() or inbox.exists()


def _pending_windows(alias: str) -> Iterator[Window]:
    here = owned(shard_map(context_of_alias(alias)), alias)
    return windows(OutboxEvent.objects.filter(here, PENDING), alias, WINDOW)


def waiting(window: Window) -> Iterator[Finding]:
    """Events not handed over: those that still are not when the wait is over are no longer young."""
    rows = window.of(OutboxEvent).filter(PENDING).order_by("pk")
    for pk, topic, key, seq in rows.values_list("pk", "topic", "key", "event_seq"):
        ids = (*_told_by(topic, key), public_id("evt", pk))
        yield Finding(ids=ids, detail=f"{topic}, number {seq}, is not handed over")


def _told_by(topic: str, key: str) -> list[str]:
    return [shown(model, int(key)) for model in aggregates() if topic in topics_told(model)]


def lost(model: type[Model], window: Window) -> Iterator[Finding]:
    """Aggregates whose events are not exactly the numbers 1 … ``event_seq``, each once.

    The outbox has those behind the number up to which they were forgotten: `shop.events.retention`.
    """
    buckets = key_of_bucket(bucket_of(window.first)), key_of_bucket(bucket_of(window.last) + 1) - 1
    values: list[str | int] = [*topics_told(model), *buckets, aggregate_name(model), window.first, window.last]
    with connections[window.alias].cursor() as cursor:
        cursor.execute(_lost_text(model, window.alias), values)
        found = cursor.fetchall()
    owners = shard_map(context_of_alias(window.alias))
    for key, numbered, forgotten, told, distinct, lowest, highest in found:
        if owners.alias_of_bucket(bucket_of(key)) != window.alias:
            continue  # a copy under way
        seen = f"{told} events, {distinct} numbers from {lowest} to {highest}" if told else "no event"
        behind = f" behind {forgotten}, which was forgotten" if forgotten else ""
        yield Finding(ids=(shown(model, key),), detail=f"event_seq is {numbered}, the outbox has {seen}{behind}")


@cache
def _lost_text(model: type[Model], alias: str) -> str:
    """One statement, so that it sees one moment: numbers and events are written in one transaction.

    The outbox has no index of keys, which every order would pay for: an aggregate's events lie in its bucket.
    """
    name = connections[alias].ops.quote_name
    topics = ", ".join("%s" for _ in topics_told(model))
    forgotten = "coalesce(f.event_seq, 0)"
    return f"""
        SELECT a.id, a.event_seq, {forgotten}, o.told, o.numbers, o.lowest, o.highest
        FROM {name(model._meta.db_table)} a
        LEFT JOIN (
            SELECT key, id >> {BUCKET_SHIFT} AS bucket, count(*) AS told, count(DISTINCT event_seq) AS numbers,
                   min(event_seq) AS lowest, max(event_seq) AS highest
            FROM {name(OutboxEvent._meta.db_table)}
            WHERE topic IN ({topics}) AND id BETWEEN %s AND %s
            GROUP BY key, id >> {BUCKET_SHIFT}
        ) o ON o.key = CAST(a.id AS varchar(20)) AND o.bucket = a.id >> {BUCKET_SHIFT}
        LEFT JOIN {name(ForgottenEvents._meta.db_table)} f
            ON f.key = CAST(a.id AS varchar(20)) AND f.aggregate = %s
            AND f.id >> {BUCKET_SHIFT} = a.id >> {BUCKET_SHIFT}
        WHERE a.id BETWEEN %s AND %s
          AND NOT (coalesce(o.told, 0) = a.event_seq - {forgotten}
                   AND coalesce(o.numbers, 0) = a.event_seq - {forgotten}
                   AND coalesce(o.lowest, {forgotten} + 1) = {forgotten} + 1
                   AND coalesce(o.highest, {forgotten}) = a.event_seq)
        ORDER BY a.id
    """  # noqa: S608  names of tables
