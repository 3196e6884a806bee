"""From the outbox to the handlers, and again where they failed. Claims rows by a fenced lease.

Works outside transactions. Claims go by ``available_at``, never by an ID watermark: a lower ID may commit later. Only
rows in buckets that the database owns are seen.
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any, Final

import structlog
from django.db.models import Exists, OuterRef, Q, QuerySet

from shop.events.away import Away, is_away
from shop.events.envelope import Envelope
from shop.events.handlers import handler_named, handlers_of
from shop.events.inbox import HELD_BACK_SECONDS, attempt, held_back, receive
from shop.events.models import InboxEntry, OutboxEvent
from shop.sharding import context_of_alias, key_of_bucket, shard_atomic, shard_map
from shop.sharding.scatter import owned
from shop.sharding.statements import Statement

log = structlog.get_logger(__name__)

type Carrier = Callable[[str, str, Sequence[Envelope]], bool]
"""Given the producing context, a topic and its events: whether somebody has them for sure. Raises `Away`."""

BATCH: Final = 100
CARRIED: Final = 1_000
"""Claimed at once where a broker takes them: one that confirms a batch is done with it."""
WITHOUT_QUEUE_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 4.0
POSTPONED_SECONDS: Final = 1.0
PENDING: Final = Statement.shared(
    "SELECT 1 FROM shop_outboxevent WHERE state = 'pending' AND available_at <= %(now)s LIMIT 1"
)
FAILED: Final = Statement.shared("SELECT 1 FROM shop_inboxentry WHERE state = 'retry' AND next_at <= %(now)s LIMIT 1")
"""Asked of every database some times a second, in vain as a rule: putting the real question costs ten times that."""


def relay(alias: str, carrier: Carrier | None = None) -> int:
    """Hand over what is due in one database's outbox; returns how many events it saw.

    An event waits for the earlier ones of its key, which may be postponed or in another relay's hands.

    Args:
        alias: The database.
        carrier: Takes the events away, to a broker; None: the handlers of this process take them at once.

    Raises:
        Away: The carrier does not answer. What it did not take stays.
    """
    if not _is_any(alias, PENDING):
        return 0
    now = datetime.now(UTC)
    pending = OutboxEvent.objects.using(alias).filter(state=OutboxEvent.State.PENDING)
    elsewhere = Q(available_at__gt=now) | Q(lease_until__gt=now)
    earlier = pending.filter(elsewhere, key=OuterRef("key"), event_seq__lt=OuterRef("event_seq"))
    due = pending.filter(~Exists(earlier), available_at__lte=now)
    rows = _claim(alias, due.order_by("available_at", "id"), most=BATCH if carrier is None else CARRIED)
    if carrier is None:
        _hand_over_here(alias, rows)
    else:
        _carry(alias, rows, carrier)
    return len(rows)


def _carry(alias: str, rows: list[OutboxEvent], carrier: Carrier) -> None:
    """Give events to what carries them away, topic by topic; each is done once it says that it has them."""
    by_topic: defaultdict[str, list[OutboxEvent]] = defaultdict(list)
    for row in rows:
        by_topic[row.topic].append(row)
    waiting = {row.pk: row for row in rows}
    try:
        for topic, of_topic in by_topic.items():
            for batch in batched(of_topic, BATCH):
                if carrier(context_of_alias(alias), topic, [Envelope.of(row) for row in batch]) or not handlers_of(
                    topic
                ):
                    _release_all(alias, batch, state=OutboxEvent.State.HANDED_OVER)
                else:
                    log.warning("events_without_queue", database=alias, topic=topic, events=len(batch))
                    later = datetime.now(UTC) + timedelta(seconds=WITHOUT_QUEUE_SECONDS)
                    _release_all(alias, batch, available_at=later)
                for row in batch:
                    del waiting[row.pk]
    except Away:
        _release_all(alias, list(waiting.values()))
        raise


def _release_all(alias: str, rows: Sequence[OutboxEvent], **changes: Any) -> None:
    """Let go of claimed rows, unless the lease was lost meanwhile."""
    if rows:
        mine = OutboxEvent.objects.using(alias).filter(pk__in=[row.pk for row in rows], lease_token=rows[0].lease_token)
        _write(alias, lambda: mine.update(lease_token=None, lease_until=None, **changes))


def _hand_over_here(alias: str, rows: list[OutboxEvent]) -> None:
    postponed: set[str] = set()
    for row in _held(alias, rows):
        if row.key not in postponed and _hand_over(Envelope.of(row)):
            _release(alias, row, state=OutboxEvent.State.HANDED_OVER)
        else:
            postponed.add(row.key)
            _release(alias, row, available_at=datetime.now(UTC) + timedelta(seconds=POSTPONED_SECONDS))
    if postponed:
        log.warning("events_postponed", database=alias, keys=len(postponed))


def _hand_over(envelope: Envelope) -> bool:
    """Whether every handler's inbox has the event now."""
    try:
        for handler in handlers_of(envelope.topic):
            receive(envelope, handler)
    except Exception as error:
        if not is_away(error):
            log.exception("hand_over_failed", topic=envelope.topic, event_id=str(envelope.event_id))
        return False
    return True


def retry(alias: str) -> int:
    """Run handlers again whose time has come in one database's inbox; returns how many entries it saw."""
    if not _is_any(alias, FAILED):
        return 0
    due = Q(state=InboxEntry.State.RETRY, next_at__lte=datetime.now(UTC))
    rows = _claim(alias, InboxEntry.objects.using(alias).filter(due).order_by("next_at", "event_seq"))
    for row in _held(alias, rows):
        handler = handler_named(row.handler)
        if handler is None or row.envelope is None:
            continue  # a handler that is gone while rows for it exist: they stay, and say so in `events status`
        if not handler.latest_wins and held_back(alias, row):
            _release(alias, row, next_at=datetime.now(UTC) + timedelta(seconds=HELD_BACK_SECONDS))
        else:
            attempt(row, Envelope.from_json(row.envelope), handler, new=False)
    return len(rows)


def drain(aliases: list[str], *, rounds: int = 1_000) -> bool:
    """Relay and retry until nothing is due; for commands and tests. False if something still is after ``rounds``."""
    return any(not sum([relay(alias) + retry(alias) for alias in aliases]) for _ in range(rounds))


def _is_any(alias: str, due: Statement) -> bool:
    context = context_of_alias(alias)
    slices = shard_map(context).slices_of(alias)
    return bool(slices) and bool(due.read(context, key_of_bucket(slices[0][0]), now=datetime.now(UTC)))


def _claim[R: (OutboxEvent, InboxEntry)](alias: str, due: QuerySet[R], *, most: int = BATCH) -> list[R]:
    now = datetime.now(UTC)
    free = due.filter(Q(lease_until=None) | Q(lease_until__lt=now)).filter(
        owned(shard_map(context_of_alias(alias)), alias)
    )
    if not free.exists():
        return []
    token = uuid.uuid4()

    def lease() -> list[R]:
        rows = list(free.select_for_update(skip_locked=True)[:most])
        until = now + timedelta(seconds=LEASE_SECONDS)
        due.model.objects.using(alias).filter(pk__in=[row.pk for row in rows]).update(
            lease_token=token, lease_until=until
        )
        for row in rows:
            row.lease_token, row.lease_until = token, until
        return rows

    return _write(alias, lease)


def _held[R: (OutboxEvent, InboxEntry)](alias: str, rows: list[R]) -> Iterator[R]:
    """The claimed rows one by one, the lease on those that remain renewed in time.

    So a lease is short, and what a dead relay had claimed is free again within seconds.
    """
    renew_at = time.monotonic() + LEASE_SECONDS / 2
    for position, row in enumerate(rows):
        if time.monotonic() > renew_at:
            remaining = [other.pk for other in rows[position:]]
            mine = type(row).objects.using(alias).filter(pk__in=remaining, lease_token=row.lease_token)
            until = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
            if _write(alias, partial(mine.update, lease_until=until)) < len(remaining):
                return  # frozen for long: somebody else has taken over
            renew_at = time.monotonic() + LEASE_SECONDS / 2
        yield row


def _release(alias: str, row: OutboxEvent | InboxEntry, **changes: Any) -> None:
    """Let go of a claimed row, unless the lease was lost meanwhile."""
    mine = type(row).objects.using(alias).filter(pk=row.pk, lease_token=row.lease_token)
    _write(alias, lambda: mine.update(lease_token=None, lease_until=None, **changes))


def _write[T](alias: str, work: Callable[[], T]) -> T:
    """Run ``work`` in one transaction on ``alias``, entered by a bucket it owns so that the fence applies."""
    context = context_of_alias(alias)
    lo, _ = shard_map(context).slices_of(alias)[0]
    with shard_atomic(context, key_of_bucket(lo)):
        return work()
