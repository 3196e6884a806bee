"""Publishing: a row in the outbox, in the transaction of what has happened."""

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from shop.contract import Event
from shop.events import wake
from shop.events.models import OutboxEvent
from shop.observability.trace import traceparent
from shop.services.codec import adapter
from shop.sharding import MixedShards, alias_of, new_id
from shop.sharding.scope import required_scope

actor: Final[ContextVar[str]] = ContextVar("shop_actor", default="")
causation: Final[ContextVar[str]] = ContextVar("shop_causation", default="")


def publish(event: Event, *, seq: int) -> None:
    """Store ``event`` in the outbox of the open transaction's database.

    Args:
        event: What has happened.
        seq: The aggregate's own ``event_seq``, raised in this transaction; the first one is 1.

    Raises:
        ShardScopeMissing: No transaction is open.
        MixedShards: The transaction is not on the aggregate's shard.
    """
    row = to_publish(event, seq=seq)
    row.save(using=required_scope("publishing").alias, force_insert=True)


def to_publish(event: Event, *, seq: int) -> OutboxEvent:
    """As `publish`, for a use case that stores all its rows together: the outbox's row, to be inserted by the caller.

    Raises:
        ShardScopeMissing: No transaction is open.
        MixedShards: The transaction is not on the aggregate's shard.
    """
    topic = event.topic()
    scope = required_scope(f"publishing {topic}")
    key = event.aggregate_id()
    if scope.context != event.context() or alias_of(scope.context, int(key)) != scope.alias:
        raise MixedShards(f"{topic} of {key} is published on {scope.alias}, which is not the shard of its aggregate")
    now = datetime.now(UTC)
    context = scope.context
    scope.on_commit(lambda: wake.relay_of(context))
    return OutboxEvent(
        id=new_id(scope.context, near=int(key)),
        topic=topic,
        key=key,
        shard_key=event.shard_key_id(),
        event_seq=seq,
        payload=adapter(type(event)).dump_python(event, mode="json"),
        traceparent=traceparent(),
        actor=actor.get(),
        causation=causation.get(),
        created_at=now,
        available_at=now,
    )
