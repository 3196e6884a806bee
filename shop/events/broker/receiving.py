"""What a worker does with a batch. When it returns every event's fate is in an inbox, and the batch acknowledged."""

import time
from typing import Any, Final

import structlog
from celery.exceptions import Reject

from shop.events.away import is_away
from shop.events.batches import hand_over
from shop.events.broker.parked import park
from shop.events.broker.sealing import NotBelieved, unseal

log = structlog.get_logger(__name__)

TASK: Final = "shop.events.take"
"""The one task; its name is part of every message, so it stays when code moves."""
AGAIN_SECONDS: Final = 1.0


def take(message: Any) -> None:
    """Hand a batch to the handlers of its topics; what can't be taken is parked. Safe to repeat.

    Raises:
        Reject: An inbox can't be written: the broker gives the batch out again.
    """
    try:
        _take(message)
    except Exception as error:
        if is_away(error):
            log.warning("batch_put_off", error=type(error).__name__)
        else:
            log.exception("batch_failed")
        time.sleep(AGAIN_SECONDS)  # whoever takes it next would find the same
        raise Reject(type(error).__name__, requeue=True) from error


def _take(message: Any) -> None:
    try:
        envelopes = unseal(message)
    except NotBelieved as error:
        park(message, topic="", reason=error.reason)
        return
    for topic in hand_over(envelopes):
        park(message, topic=topic, reason="no handler here knows this topic")
