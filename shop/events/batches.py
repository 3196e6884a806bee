"""Events that came together: one transaction for all of them at a handler, if nothing stands against it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

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
        OperationalError: An inbox can't be written. What was taken by then stays taken.
    """
    by_topic: defaultdict[str, list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        by_topic[envelope.topic].append(envelope)
    unknown: list[str] = []
    for topic, batch in by_topic.items():
        handlers = [each for each in handlers_of(topic) if context in ("", each.context)]
        for handler in handlers:
            receive_all(batch, handler)
        if not handlers:
            unknown.append(topic)
    return unknown


def receive_all(envelopes: Sequence[Envelope], handler: Handler) -> None:
    """As `receive`, for events that came together: one transaction for those of a shard, if nothing stands against it.

    Raises:
        OperationalError: The inbox itself can't be written. What was taken by then stays taken.
    """
    by_alias: defaultdict[str, list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        by_alias[alias_of(handler.context, envelope.shard_key)].append(envelope)
    for batch in by_alias.values():
        if not (handler.atomic and _together(batch, handler)):
            for envelope in batch:
                receive(envelope, handler)


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
