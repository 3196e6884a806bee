"""How a worker consumes. Named to Celery in the settings."""

from typing import Final

from celery.worker.consumer import Consumer as CelerysConsumer

DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(CelerysConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's, without the 28 queues that it makes for tasks with a countdown where queues are quorums: we have none.

    They have one name for all, so shops that share a broker would share them.
    """

    class Blueprint(CelerysConsumer.Blueprint):  # type: ignore[misc]  # as above
        """The steps of a start."""

        default_steps = tuple(step for step in CelerysConsumer.Blueprint.default_steps if step != DELAYED_DELIVERY)
