"""What staff can do about events that stand. `manage.py events` and the admin come in here.

Every function works on the databases hosted here, each row at its owner. The log says what was changed, and by whom.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db.models import QuerySet

from shop.events.envelope import Envelope
from shop.events.handlers import handlers_of
from shop.events.models import InboxEntry
from shop.events.which import Fate, Way, Which
from shop.sharding import context_of_alias, new_id, shard_atomic
from shop.sharding.readiness import all_aliases

log = structlog.get_logger(__name__)

BATCH: Final = 200
REASON_LETTERS: Final = 200
FREE: Final = {"lease_token": None, "lease_until": None}


def requeue(which: Which, *, by: str, dry_run: bool = False) -> int:
    """Try again at once what is dead or waits at a handler, with five attempts more; returns how many entries."""
    again = {"state": Fate.RETRY, "attempts": 0, "next_at": datetime.now(UTC), **FREE}
    return _told("requeued", by, dry_run, _change(which.failed, again, dry_run=dry_run))


def skip(which: Which, reason: str, *, by: str, dry_run: bool = False) -> int:
    """Give up what is dead or waits at a handler, and what is not handed over yet; returns how many rows.

    With a handler named, nothing of an outbox: that is everybody's. Later events of the same keys go on.
    """
    entries = _change(which.failed, {"state": Fate.SKIPPED, "reason": reason, "next_at": None, **FREE}, dry_run=dry_run)
    events = _change(which.pending, {"state": Way.SKIPPED, "reason": reason, **FREE}, dry_run=dry_run)
    return _told("skipped", by, dry_run, entries + events)


def replay(which: Which, *, by: str, dry_run: bool = False) -> int:
    """Hand over again what was handed over, and is not older than it is kept; returns how many events.

    Whoever has done with one ignores it; with a handler named, that one handles it once more, whatever it has done.
    """
    if not which.handler:
        handed_over = {"state": Way.PENDING, "available_at": datetime.now(UTC)}
        return _told("replayed", by, dry_run, _change(which.replayable, handed_over, dry_run=dry_run))
    total = 0
    for alias in all_aliases():
        rows = which.replayable(alias).order_by("key", "event_seq")
        for row in rows.iterator(chunk_size=BATCH):
            total += _once_more(Envelope.of(row), which.handler, dry_run=dry_run)
    return _told("replayed", by, dry_run, total)


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


def _change(find: Callable[[str], QuerySet[Any]], changes: dict[str, Any], *, dry_run: bool) -> int:
    """Change rows in small transactions, each on its shard, so that nobody waits for long."""
    if dry_run:
        return sum(find(alias).count() for alias in all_aliases())
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
                total += _change_one(context, key, find, changes)
    return total


def _change_one(context: str, key: int, find: Callable[[str], QuerySet[Any]], changes: dict[str, Any]) -> int:
    with shard_atomic(context, key) as scope:
        return find(scope.alias).filter(pk=key).update(**changes)


def _told(what: str, by: str, dry_run: bool, rows: int) -> int:
    log.info(f"events_{what}", rows=rows, by=by, dry_run=dry_run)
    return rows
