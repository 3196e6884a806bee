"""The relay's way to the broker: one connection, which is given up as soon as anything is wrong with it."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from shop.events.away import Away
from shop.events.broker.receiving import TASK
from shop.events.broker.sealing import seal
from shop.events.broker.topology import exchange
from shop.events.envelope import Envelope

PERSISTENT: Final = 2
WAIT_SECONDS: Final = 5.0
"""For a connection, an answer, a confirm: longer is a broker that is away."""


class Sender:
    """Sends batches. For one thread at a time."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._returned = 0

    def send(self, context: str, topic: str, envelopes: Sequence[Envelope]) -> bool:
        """Send events of one topic that ``context`` has published. When it returns the broker keeps them.

        Returns:
            Whether any queue has them; False: none is bound to the topic.

        Raises:
            Away: The broker does not answer, or did not confirm.
        """
        message = seal(context, envelopes)
        try:
            producer = self._open()
            before = self._returned
            task = self._app.amqp.as_task_v2(str(uuid.uuid4()), TASK, [message], argsrepr="", kwargsrepr="")
            producer.publish(
                task.body,
                headers=task.headers,
                exchange=exchange().name,
                routing_key=topic,
                serializer="json",
                delivery_mode=PERSISTENT,
                mandatory=True,
                confirm_timeout=WAIT_SECONDS,
                **task.properties,
            )
        except Exception as error:
            failed = self._is_failure(error)
            self.close()
            if not failed:
                raise
            raise Away(type(error).__name__) from error
        return self._returned == before

    def close(self) -> None:
        """Let go of the connection; the next batch opens another."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                connection.collect()

    def _is_failure(self, error: Exception) -> bool:
        """Whether it is the broker's or the network's, not ours."""
        connection = self._connection
        of_driver = () if connection is None else connection.connection_errors + connection.channel_errors
        return isinstance(error, (OSError, OperationalError, *of_driver))

    def _open(self) -> Producer:
        if self._producer is None:
            waits = {"connect_timeout": WAIT_SECONDS, "read_timeout": WAIT_SECONDS, "write_timeout": WAIT_SECONDS}
            options = {"confirm_publish": True, **waits}
            self._connection = self._app.connection_for_write(transport_options=options, heartbeat=0)
            self._connection.ensure_connection(max_retries=0, timeout=WAIT_SECONDS)
            channel = self._connection.default_channel
            exchange()(channel).declare()
            self._producer = Producer(channel, on_return=self._on_return)
        return self._producer

    def _on_return(self, *_: Any) -> None:
        self._returned += 1
