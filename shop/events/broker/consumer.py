"""How a worker consumes. Named to Celery in the settings."""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery.worker.consumer import Consumer as CelerysConsumer

from shop.events.away import is_away
from shop.events.broker.again import append_what_is_put_back
from shop.events.broker.parked import park
from shop.events.broker.receiving import AGAIN_SECONDS, TASK
from shop.sharding.databases import leave_databases

log = structlog.get_logger(__name__)

DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


OBEYED_BY_CELERY: Final = {"eta": None, "expires": None, "timelimit": [None, None]}
"""Headers that nobody has signed: by them anybody could have an event thrown away, or held for years."""


class Consumer(CelerysConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's, but what is no batch of ours is parked: Celery would drop it.

    It also leaves out the 28 queues that Celery makes for tasks with a countdown where queues are quorums: we have
    none, and they have one name for all, so shops that share a broker would share them.
    """

    class Blueprint(CelerysConsumer.Blueprint):  # type: ignore[misc]  # as above
        """The steps of a start."""

        default_steps = tuple(step for step in CelerysConsumer.Blueprint.default_steps if step != DELAYED_DELIVERY)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """What is called with each message; raises nothing for a message's sake, which would end the worker."""
        handle = super().create_task_handler(*args, **options)

        def receive(message: Any) -> None:
            try:
                append_what_is_put_back(message, self._queue_of(message), self.app)
                if reason := _stranger(message):
                    self._park(message, reason)
                else:
                    message.headers |= OBEYED_BY_CELERY
                    handle(message)
            except (LookupError, TypeError, ValueError, AttributeError):
                self._park(message, "headers that can't be read")

        return receive

    def _queue_of(self, message: Any) -> str:
        """By the tag that kombu gave to the queue's consumer, and tells nobody."""
        tag = message.delivery_info.get("consumer_tag")
        return next((queue for queue, given in self.task_consumer._active_tags.items() if given == tag), "")

    def on_decode_error(self, message: Any, _: Exception) -> None:
        """What is packed in a way that it is not."""
        self._park(message, "content that can't be read")

    def on_invalid_task(self, _: Any, message: Any, __: Exception) -> None:
        """Celery finds a header wrong."""
        self._park(message, "headers that can't be read")

    def _park(self, message: Any, reason: str) -> None:
        body = message.body if isinstance(message.body, str) else bytes(message.body).decode(errors="replace")
        found = {"content_type": message.content_type, "headers": _plain(message.headers), "body": body}
        try:
            park(found, topic=str(message.delivery_info.get("routing_key") or ""), reason=reason)
        except Exception as error:
            if not is_away(error):
                log.exception("message_not_parked")
            time.sleep(AGAIN_SECONDS)  # the next one would find the same
            append_what_is_put_back(message, self._queue_of(message), self.app)
            message.reject(requeue=True)
        else:
            message.ack()
        finally:
            leave_databases()


def _stranger(message: Any) -> str:
    """Why this is no call of our task; empty where it is one."""
    task = (message.headers or {}).get("task")
    if task != TASK:
        return "another task than ours" if task else "no message of Celery's"
    try:
        (_,), options, _ = message.payload
    except Exception:  # whatever the decoder raises for what somebody has sent
        return "content that can't be read"
    return "a call that can't be read" if options else ""


def _plain(headers: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in dict(headers or {}).items()}
