"""From the outbox to the handlers, and again where they failed. Works outside transactions, on rows that it leased."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Final

import structlog

from shop.events.away import is_away
from shop.events.claims import Lease, claim_entries, claim_events
from shop.events.envelope import Envelope
from shop.events.handlers import handler_named, handlers_of
from shop.events.inbox import HELD_BACK_SECONDS, attempt, held_back, receive
from shop.events.models import OutboxEvent
from shop.sharding import context_of_alias, key_of_bucket, shard_map
from shop.sharding.statements import Statement

log = structlog.get_logger(__name__)

type Batch = tuple[str, Sequence[Envelope]]
"""A topic, and events of it."""
type Carrier = Callable[[str, Sequence[Batch]], Iterator[bool | None]]
"""Given the producing context and batches: of one after the other, as soon as that is sure, whether somebody has it;
None: it has to come again. Raises `Away`."""

BATCH: Final = 100
CARRIED: Final = 1_000
"""Claimed at once where a broker takes them: one that confirms a batch is done with it."""
WITHOUT_QUEUE_SECONDS: Final = 5.0
POSTPONED_SECONDS: Final = 1.0
PENDING: Final = Statement.shared(
    "SELECT 1 FROM shop_outboxevent WHERE state = 'pending' AND available_at <= %(now)s LIMIT 1"
)
FAILED: Final = Statement.shared("SELECT 1 FROM shop_inboxentry WHERE state = 'retry' AND next_at <= %(now)s LIMIT 1")
"""Asked of every database some times a second, in vain as a rule: putting the real question costs ten times that."""


def relay(alias: str, carrier: Carrier | None = None) -> int:
    """Hand over what is due in one database's outbox; returns how many events it saw.

    Args:
        alias: The database.
        carrier: Takes the events away, to a broker; None: the handlers of this process take them at once.

    Raises:
        Away: The carrier does not answer. What it did not take stays.
    """
    if not _is_any(alias, PENDING):
        return 0
    lease, events = claim_events(alias, BATCH if carrier is None else CARRIED)
    if carrier is None:
        _hand_over_here(lease, events)
    else:
        _carry(lease, events, carrier)
    return len(events)


def _carry(lease: Lease, events: Sequence[Envelope], carrier: Carrier) -> None:
    """Give events to what carries them away, topic by topic; each is done once it says that it has them."""
    by_topic: defaultdict[str, list[Envelope]] = defaultdict(list)
    for event in events:
        by_topic[event.topic].append(event)
    batches = [(topic, batch) for topic, of_topic in by_topic.items() for batch in batched(of_topic, BATCH)]
    carried, fates = carrier(context_of_alias(lease.alias), batches), list[bool | None]()
    try:
        for _ in lease.held(batches, ids_of=lambda batch: _ids([batch])):
            fates.append(next(carried))
    finally:
        done = list(zip(batches, fates, strict=False))
        lease.let_go(_ids(batches[len(done) :]))
        lease.let_go(
            _ids([batch for batch, fate in done if fate or (fate is False and not handlers_of(batch[0]))]),
            state=OutboxEvent.State.HANDED_OVER,
        )
        lease.let_go(_ids([batch for batch, fate in done if fate is None]), available_at=_in(POSTPONED_SECONDS))
        _wait_for_queues(lease, [batch for batch, fate in done if fate is False and handlers_of(batch[0])])


def _wait_for_queues(lease: Lease, batches: Sequence[Batch]) -> None:
    for topic in {topic for topic, _ in batches}:
        log.warning("events_without_queue", database=lease.alias, topic=topic)
    lease.let_go(_ids(batches), available_at=_in(WITHOUT_QUEUE_SECONDS))


def _ids(batches: Sequence[Batch]) -> list[int]:
    return [event.event_id for _, batch in batches for event in batch]


def _hand_over_here(lease: Lease, events: Sequence[Envelope]) -> None:
    postponed: set[str] = set()
    for event in lease.held(events, ids_of=lambda event: [event.event_id]):
        if event.key not in postponed and _hand_over(event):
            lease.let_go([event.event_id], state=OutboxEvent.State.HANDED_OVER)
        else:
            postponed.add(event.key)
            lease.let_go([event.event_id], available_at=_in(POSTPONED_SECONDS))
    if postponed:
        log.warning("events_postponed", database=lease.alias, keys=len(postponed))


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
    lease, entries = claim_entries(alias, BATCH)
    for entry in lease.held(entries, ids_of=lambda entry: [entry.pk]):
        handler = handler_named(entry.handler)
        if handler is None or entry.envelope is None:
            continue  # a handler that is gone while rows for it exist: they stay, and say so in `events status`
        if not handler.latest_wins and held_back(alias, entry):
            lease.let_go([entry.pk], next_at=_in(HELD_BACK_SECONDS))
        else:
            attempt(entry, Envelope.from_json(entry.envelope), handler, new=False)
    return len(entries)


def drain(aliases: list[str], *, rounds: int = 1_000) -> bool:
    """Relay and retry until nothing is due; for commands and tests. False if something still is after ``rounds``."""
    return any(not sum([relay(alias) + retry(alias) for alias in aliases]) for _ in range(rounds))


def _is_any(alias: str, due: Statement) -> bool:
    context = context_of_alias(alias)
    slices = shard_map(context).slices_of(alias)
    return bool(slices) and bool(due.read(context, key_of_bucket(slices[0][0]), now=datetime.now(UTC)))


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
