"""Events that came together: one transaction for all of them at a handler, if nothing stands against it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from shop.events.away import is_away
from shop.events.envelope import Envelope
from shop.events.handlers import Handler, handlers_of
from shop.events.inbox import acting_for, caused_by, new_entry, note_failure, receive
from shop.events.retention import is_remembered
from shop.sharding import alias_of, new_id, shard_atomic
from shop.sharding.statements import Statement

log = structlog.get_logger(__name__)

FAILED_BEFORE: Final = Statement.shared("""
    SELECT 1 FROM shop_inboxentry
    WHERE handler = %(handler)s AND key IN (SELECT value FROM json_each(%(ids)s)) AND state IN ('retry', 'dead')
    LIMIT 1""")
"""Whether an event of the keys ``ids`` waits at the handler, or is dead there."""
_ENTER: Final = """
    INSERT INTO shop_inboxentry (id, handler, event_id, key, event_seq, state, attempts, reason, created_at)
    SELECT {}, %(handler)s, {}, {}, {}, 'done', 0, '', %(now)s FROM {}
    ON CONFLICT (handler, event_id) DO NOTHING RETURNING event_id"""
ENTER_DONE: Final = Statement(
    postgresql=_ENTER.format(
        "e.id", "e.event_id", "e.key", "e.event_seq",
        "unnest(%(ids)s::bigint[], %(event_ids)s::bigint[], %(keys)s::text[], %(event_seqs)s::int[])"
        " AS e (id, event_id, key, event_seq)",
    ),
    sqlite=(
        _ENTER.format(
            "i.value", "e.value", "k.value", "s.value",
            "json_each(%(ids)s) i JOIN json_each(%(event_ids)s) e USING (key) JOIN json_each(%(keys)s) k USING (key)"
            " JOIN json_each(%(event_seqs)s) s USING (key) WHERE true",
        ),
    ),
)  # fmt: skip
"""Entries of those events that have none; whoever enters one of them meanwhile is waited for."""


def hand_over(envelopes: Sequence[Envelope], *, context: str = "") -> list[str]:
    """Give events to all their handlers here; returns the topics that nobody here handles. Safe to repeat.

    Args:
        envelopes: Of any topics.
        context: To those of this context only; all, where it is empty.

    Raises:
        OperationalError: An inbox can't be written. All others have what is theirs.
    """
    by_topic: defaultdict[str, list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        by_topic[envelope.topic].append(envelope)
    unknown, work = list[str](), list[Callable[[], None]]()
    for topic, batch in by_topic.items():
        handlers = [each for each in handlers_of(topic) if context in ("", each.context)]
        work += [partial(receive_all, batch, handler) for handler in handlers]
        if not handlers:
            unknown.append(topic)
    _as_far_as_possible(work)
    return unknown


def receive_all(envelopes: Sequence[Envelope], handler: Handler) -> None:
    """As `receive`, for events that came together: one transaction for those of a shard, if nothing stands against it.

    Raises:
        OperationalError: An inbox itself can't be written. Those of the other shards have what is theirs.
    """
    by_alias: defaultdict[str, list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        by_alias[alias_of(handler.context, envelope.shard_key)].append(envelope)
    _as_far_as_possible([partial(_receive_on_one, batch, handler) for batch in by_alias.values()])


def _receive_on_one(batch: Sequence[Envelope], handler: Handler) -> None:
    if not (handler.atomic and _together(batch, handler)):
        for envelope in batch:
            receive(envelope, handler)


def _as_far_as_possible(work: Iterable[Callable[[], None]]) -> None:
    """Do all of it: who waits for a shard that is away does not hold up the others, however often it comes again.

    Raises:
        OperationalError: The first one of what could not be done.
    """
    failed: Exception | None = None
    for each in work:
        try:
            each()
        except Exception as error:
            if not is_away(error):
                raise
            failed = failed or error
    if failed is not None:
        raise failed


def _together(batch: Sequence[Envelope], handler: Handler) -> bool:
    """Run the handler for all of them or for none; whether that is their fate. One by one, each failure is its own."""
    key, keys = batch[0].shard_key, list({envelope.key for envelope in batch})
    if handler.latest_wins or not all(is_remembered(envelope.event_id) for envelope in batch):
        return False
    if FAILED_BEFORE.read(handler.context, key, handler=handler.name, ids=keys):
        return False
    try:
        with shard_atomic(handler.context, key):
            new = _enter(batch, handler)
            with acting_for(handler):
                for envelope in {each.event_id: each for each in batch if each.event_id in new}.values():
                    with caused_by(envelope):
                        handler.run(envelope.open(handler.event_type))
    except Exception as error:
        if len(batch) > 1:
            log.info("batch_taken_one_by_one", handler=handler.name, error=type(error).__name__)
            return False
        with caused_by(batch[0]), acting_for(handler):
            note_failure(new_entry(batch[0], handler), batch[0], handler, error)
    return True


def _enter(batch: Sequence[Envelope], handler: Handler) -> set[int]:
    """Write DONE first, for all at once; returns the IDs of the events that nobody has entered before."""
    rows = ENTER_DONE.write(
        handler.context,
        batch[0].shard_key,
        handler=handler.name,
        now=datetime.now(UTC),
        ids=[new_id(handler.context, near=envelope.shard_key) for envelope in batch],
        event_ids=[envelope.event_id for envelope in batch],
        keys=[envelope.key for envelope in batch],
        event_seqs=[envelope.event_seq for envelope in batch],
    )
    return {event_id for (event_id,) in rows}
