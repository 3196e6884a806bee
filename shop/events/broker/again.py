"""Giving a batch out again over AMQP: it is appended anew, confirmed, and what was delivered is acknowledged.

RabbitMQ would take it back and count how often: from 4.0 on a quorum queue drops what came back more than 20 times, and
a queue that is there already can't be told otherwise (rabbitmq/rabbitmq-server#11937, #12250). It would also put it at
the head, before batches whose inboxes are there. Who dies in between leaves two of it, which inboxes bear.
"""

from collections.abc import Callable
from typing import Any

import structlog
from celery import Celery

from shop.events.broker.sending import Sender

log = structlog.get_logger(__name__)


def append_what_is_put_back(message: Any, queue: str, app: Celery) -> None:
    """From now on ``message``, which came by ``queue``, is appended there when it is rejected to be given out again."""
    if hasattr(message.channel, "confirm_select") and "reject" not in vars(message):  # on Redis it is appended anyway
        message.reject = _appending(message.reject, message, queue, app)


def _appending(reject: Callable[..., None], message: Any, queue: str, app: Celery) -> Callable[..., None]:
    def put_back(requeue: bool = False) -> None:
        if requeue and _is_appended(message, queue, app):
            message.ack()
        else:
            reject(requeue=requeue)

    return put_back


def _is_appended(message: Any, queue: str, app: Celery) -> bool:
    sender = Sender(app)  # of its own: several threads may put back, each once a second at most
    try:
        sender.append(queue, message)
    except Exception as error:  # whatever is in a message that somebody else has sent
        log.warning("batch_not_appended", queue=queue, error=type(error).__name__)
        return False
    finally:
        sender.close()
    return True
