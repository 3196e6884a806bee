"""The ways from an outbox to the handlers, one round at a time: in this process, or over a broker and back."""

import pytest
from celery.exceptions import Reject
from kombu import Queue

from shop.events import relay
from shop.events.broker.app import make_app
from shop.events.broker.receiving import take
from shop.events.broker.sending import Sender
from shop.events.broker.topology import declare, queues
from tests.kernel.probes import ALIASES

EVERY_HAND_OVER = pytest.mark.parametrize("hand_over", ["embedded", "RabbitMQ", "Redis"], indirect=True)


class Embedded:
    """The relay calls the handlers."""

    def relay(self) -> int:
        """Hand over what is due; how many events."""
        return sum(relay.relay(alias) for alias in ALIASES)


class Brokered:
    """The relay sends batches to a broker, and what is in the queues is taken as a worker does it."""

    def __init__(self) -> None:
        self._app = make_app()
        self._sender = Sender(self._app)

    def relay(self) -> int:
        """Send what is due, and handle what the broker has; how many events were sent."""
        with self._app.connection_for_write() as connection:
            declare(connection)
        sent = sum(relay.relay(alias, self._sender.send) for alias in ALIASES)
        for queue in queues():
            self._empty(queue)
        return sent

    def close(self) -> None:
        """Let go of the broker."""
        self._sender.close()

    def _empty(self, queue: Queue) -> None:
        with self._app.connection_for_read() as connection:
            here = queue(connection.default_channel)
            while (message := here.get(accept=["json"])) is not None:
                (batch,), _, _ = message.payload
                try:
                    take(batch)
                except Reject:
                    message.requeue()
                    return
                message.ack()
