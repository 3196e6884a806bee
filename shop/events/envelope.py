"""An event on its way: what the outbox stores, what a hand-over carries, what the inbox keeps for a retry."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self, cast

from shop.contract import Event
from shop.events.models import OutboxEvent
from shop.services.codec import adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One event with what its consumers need besides its fields.

    Attributes:
        event_id: ID of the outbox row.
        topic: ``<context>.<event>.v<n>``.
        key: The aggregate; events of one key are handled in order.
        event_seq: Number of the event within its aggregate, from 1.
        shard_key: Finds the consumer's shard.
        payload: The event's fields as JSON values.
        traceparent: The trace that published it.
        actor: Who caused it: a principal's ID, or nothing.
        causation: What it was a reaction to: an event's ID, or nothing.
    """

    event_id: int
    topic: str
    key: str
    event_seq: int
    shard_key: int
    payload: Mapping[str, Any]
    traceparent: str
    actor: str
    causation: str

    @classmethod
    def of(cls, row: OutboxEvent) -> Self:
        """The envelope of an outbox row."""
        return cls(
            event_id=row.pk,
            topic=row.topic,
            key=row.key,
            event_seq=row.event_seq,
            shard_key=row.shard_key,
            payload=row.payload,
            traceparent=row.traceparent,
            actor=row.actor,
            causation=row.causation,
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The envelope an inbox row keeps."""
        return cls(**stored)

    def to_json(self) -> dict[str, Any]:
        """For a message, and for the inbox."""
        return {name: getattr(self, name) for name in _FIELDS}

    def open(self, event_type: type[Event]) -> Event:
        """The event itself."""
        return cast(Event, adapter(event_type).validate_python(self.payload))


_FIELDS: Final = tuple(field.name for field in fields(Envelope))
