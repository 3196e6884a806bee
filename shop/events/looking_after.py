"""What staff see of events that stand, and what they can do about them. `manage.py events` comes in here.

Every function works on the databases hosted here, each row at its owner; what it changes is written to the log.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db.models import Count, Min, Q, QuerySet

from shop.events.envelope import Envelope
from shop.events.handlers import handlers_in, handlers_of
from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.sharding import context_of_alias, home_of, hosted_contexts, new_id, shard_atomic, shard_map
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import owned

log = structlog.get_logger(__name__)

BATCH: Final = 200
Fate = InboxEntry.State
Way = OutboxEvent.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which events are meant; what is left empty says nothing.

    Attributes:
        events: Their IDs.
        topic: ``ordering.order_placed.v1``.
        handler: ``ordering.commit_stock_on_order_placed``: of a handler's entries, only this one's.
        since: Published then or later.
        until: Published before.
    """

    events: Sequence[int] = ()
    topic: str = ""
    handler: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def published(self, alias: str) -> QuerySet[OutboxEvent]:
        """Rows of one outbox. Database: ``alias``."""
        found = OutboxEvent.objects.using(alias).filter(_owned(alias))
        return found.filter(
            *([Q(pk__in=self.events)] if self.events else []),
            *([Q(topic=self.topic)] if self.topic else []),
            *([Q(created_at__gte=self.since)] if self.since else []),
            *([Q(created_at__lt=self.until)] if self.until else []),
        )

    def failed(self, alias: str) -> QuerySet[InboxEntry]:
        """Rows of one inbox that are dead or wait for another try. Database: ``alias``."""
        found = InboxEntry.objects.using(alias).filter(_owned(alias), state__in=(Fate.RETRY, Fate.DEAD))
        return found.filter(
            *([Q(event_id__in=self.events)] if self.events else []),
            *([Q(envelope__topic=self.topic)] if self.topic else []),
            *([Q(handler=self.handler)] if self.handler else []),
            *([Q(created_at__gte=self.since)] if self.since else []),
            *([Q(created_at__lt=self.until)] if self.until else []),
        )


def status() -> dict[str, Any]:
    """What waits, what has failed and why, and what is parked. Database: all."""
    outboxes = [{"database": alias, **row} for alias in all_aliases() for row in _waiting(alias)]
    inboxes = [{"database": alias, **row} for alias in all_aliases() for row in _failed(alias)]
    parked = [{"context": context, **row} for context in hosted_contexts() for row in _parked(context)]
    unknown = sorted({row["handler"] for row in inboxes} - _handlers())
    return {"outbox": outboxes, "inbox": inboxes, "parked": parked, "unknown_handlers": unknown}


def _waiting(alias: str) -> Iterator[dict[str, Any]]:
    rows = Which().published(alias).filter(state=Way.PENDING).values("topic")
    for row in rows.annotate(events=Count("pk"), oldest=Min("created_at")).order_by("topic"):
        yield {"topic": row["topic"], "events": row["events"], "seconds": _age(row["oldest"])}


def _failed(alias: str) -> Iterator[dict[str, Any]]:
    rows = Which().failed(alias).values("handler", "state", "reason")
    for row in rows.annotate(events=Count("pk"), oldest=Min("created_at")).order_by("handler", "state", "reason"):
        yield {name: row[name] for name in ("handler", "state", "reason", "events")} | {"seconds": _age(row["oldest"])}


def _parked(context: str) -> Iterator[dict[str, Any]]:
    rows = ParkedMessage.objects.using(home_of(context)).values("topic", "reason")
    for row in rows.annotate(messages=Count("pk"), oldest=Min("created_at")).order_by("topic", "reason"):
        yield {name: row[name] for name in ("topic", "reason", "messages")} | {"seconds": _age(row["oldest"])}


def _age(moment: datetime) -> int:
    return max(0, round((datetime.now(UTC) - moment).total_seconds()))


def _handlers() -> set[str]:
    return {handler.name for context in hosted_contexts() for handler in handlers_in(context)}


def requeue(which: Which, *, dry_run: bool) -> int:
    """Try again at once what is dead or waits at a handler, with five attempts more; returns how many entries."""
    again = {"state": Fate.RETRY, "attempts": 0, "next_at": datetime.now(UTC), "lease_token": None, "lease_until": None}
    return _change("requeued", which.failed, again, dry_run=dry_run)


def skip(which: Which, reason: str, *, dry_run: bool) -> int:
    """Give up what is dead or waits at a handler, and what is not handed over yet; returns how many rows.

    With a handler named, nothing of an outbox: that is everybody's. Later events of the same keys go on.
    """
    entries = {"state": Fate.SKIPPED, "reason": reason, "next_at": None, "lease_token": None, "lease_until": None}
    done = _change("skipped", which.failed, entries, dry_run=dry_run)
    if which.handler:
        return done
    rows = {"state": Way.SKIPPED, "reason": reason, "lease_token": None, "lease_until": None}
    return done + _change(
        "skipped", lambda alias: which.published(alias).filter(state=Way.PENDING), rows, dry_run=dry_run
    )


def replay(which: Which, *, dry_run: bool) -> int:
    """Hand over again what was handed over; returns how many events.

    Whoever has done with one ignores it; with a handler named, that one handles it once more, whatever it has done.
    """
    handed_over = {"state": Way.PENDING, "available_at": datetime.now(UTC)}
    if not which.handler:
        found: Callable[[str], Any] = lambda alias: which.published(alias).filter(state=Way.HANDED_OVER)  # noqa: E731
        return _change("replayed", found, handed_over, dry_run=dry_run)
    total = 0
    for alias in all_aliases():
        rows = which.published(alias).filter(state=Way.HANDED_OVER).order_by("key", "event_seq")
        for row in rows.iterator(chunk_size=BATCH):
            total += _once_more(Envelope.of(row), which.handler, dry_run=dry_run)
    log.info("events_replayed", handler=which.handler, events=total, dry_run=dry_run)
    return total


def _once_more(envelope: Envelope, name: str, *, dry_run: bool) -> int:
    handler = next((each for each in handlers_of(envelope.topic) if each.name == name), None)
    if handler is None or dry_run:
        return int(handler is not None)
    with shard_atomic(handler.context, envelope.shard_key) as scope:
        waits = {"state": Fate.RETRY, "attempts": 0, "next_at": datetime.now(UTC), "envelope": envelope.to_json()}
        entry = InboxEntry.objects.using(scope.alias).filter(handler=name, event_id=envelope.event_id)
        if not entry.update(**waits):
            InboxEntry.objects.using(scope.alias).create(
                id=new_id(handler.context, near=envelope.shard_key),
                handler=name,
                event_id=envelope.event_id,
                key=envelope.key,
                event_seq=envelope.event_seq,
                created_at=datetime.now(UTC),
                **waits,
            )
    return 1


def _change(what: str, find: Callable[[str], QuerySet[Any]], changes: dict[str, Any], *, dry_run: bool) -> int:
    """Change rows in small transactions, each on its shard, so that nobody waits for long."""
    total = 0
    for alias in all_aliases():
        context, before = context_of_alias(alias), 0
        while True:
            rows = find(alias).filter(pk__gt=before).order_by("pk").values_list("pk", flat=True)
            keys = list(rows[:BATCH])
            if not keys:
                break
            before = keys[-1]
            for key in keys:
                total += 1 if dry_run else _change_one(context, key, find, changes)
    log.info(f"events_{what}", rows=total, dry_run=dry_run)
    return total


def _change_one(context: str, key: int, find: Callable[[str], QuerySet[Any]], changes: dict[str, Any]) -> int:
    with shard_atomic(context, key) as scope:
        return find(scope.alias).filter(pk=key).update(**changes)


def _owned(alias: str) -> Q:
    return owned(shard_map(context_of_alias(alias)), alias)
