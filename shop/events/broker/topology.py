"""What exists at the broker: one topic exchange, and one durable queue for each context that handles anything.

A producer names the topic only; the queue of a consumer is bound to the topics that its handlers name, so nobody needs
to know who listens. Declaring is safe to repeat and only ever adds: a topic that nobody handles any more stays bound
until the queue is deleted, and what comes by it is parked.
"""

from typing import Final

from django.conf import settings
from kombu import Connection, Exchange, Queue, binding

from shop.events.handlers import handlers_in
from shop.sharding import hosted_contexts

QUORUM: Final = {"x-queue-type": "quorum"}
"""Replicated where RabbitMQ has several nodes, and on disk before it is confirmed."""


def exchange() -> Exchange:
    """Where all events of this shop go, by their topics."""
    return Exchange(f"{settings.BROKER_NAMESPACE}.events", type="topic", durable=True)


def queues() -> list[Queue]:
    """The queues of the hosted contexts, each bound to the topics that its handlers name."""
    place = exchange()
    return [
        Queue(
            f"{place.name}.{context}",
            bindings=[binding(place, routing_key=topic) for topic in topics],
            durable=True,
            queue_arguments=QUORUM,
        )
        for context in hosted_contexts()
        if (topics := sorted({handler.event_type.topic() for handler in handlers_in(context)}))
    ]


def topics_of(queue: Queue) -> list[str]:
    """What ``queue`` is bound to."""
    return sorted(each.routing_key for each in queue.bindings)


def declare(connection: Connection) -> None:
    """Make exchange and queues of the hosted contexts where they are missing.

    Raises:
        OperationalError: The broker does not answer.
        AMQPError: One exists with other properties: delete it once it is empty, then declare it again.
    """
    with connection.channel() as channel:
        exchange()(channel).declare()
        for queue in queues():
            queue(channel).declare()
