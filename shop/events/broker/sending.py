"""The relay's way to the broker: one connection, which is given up as soon as anything is wrong with it."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import OperationalError

from shop.events.away import Away
from shop.events.broker.receiving import TASK
from shop.events.broker.sealing import seal
from shop.events.broker.topology import exchange
from shop.events.envelope import Envelope
from shop.events.relay import Batch

PERSISTENT: Final = 2
PACKED: Final = "compression"
WAIT_SECONDS: Final = 5.0
"""For a connection, an answer, a confirm: longer is a broker that is away."""


class Sender:
    """Sends batches. For one thread at a time."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._confirms: Confirms | None = None
        self._returned: set[str] = set()

    def send(self, context: str, batches: Sequence[Batch]) -> Iterator[bool]:
        """Send what ``context`` has published: all batches at once, then one confirm after the other is waited for.

        Yields:
            Of each batch, when the broker keeps it, whether any queue has it; False: none is bound to its topic.

        Raises:
            Away: The broker does not answer, or did not confirm.
        """
        with self._given_up_if_wrong():
            producer = self._open()
            numbers = [self._publish(producer, context, topic, envelopes) for topic, envelopes in batches]
            for number, (topic, _) in zip(numbers, batches, strict=True):
                self._wait_for(number)
                yield topic not in self._returned

    def append(self, queue: str, message: Any) -> None:
        """Put a message that was delivered, and unpacked if it was packed, at the end of ``queue`` again.

        Raises:
            Away: The broker does not answer, did not confirm, or has no such queue.
        """
        with self._given_up_if_wrong():
            self._open().publish(
                message.body,
                headers={name: value for name, value in message.headers.items() if name != PACKED},
                routing_key=queue,
                exchange="",
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                correlation_id=message.properties.get("correlation_id"),
                delivery_mode=PERSISTENT,
                mandatory=True,
            )
            self._wait_for(self._confirms.awaited() if self._confirms else 0)
            if queue in self._returned:
                raise Away("no such queue")

    @contextmanager
    def _given_up_if_wrong(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failed = self._is_failure(error)
            self.close()
            if not failed:
                raise
            raise Away(type(error).__name__) from error

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
            self._connection = self._app.connection_for_write(transport_options=waits, heartbeat=0)
            self._connection.ensure_connection(max_retries=0, timeout=WAIT_SECONDS)
            channel = self._connection.default_channel
            exchange()(channel).declare()
            self._confirms = Confirms(channel) if hasattr(channel, "confirm_select") else None
            self._producer = Producer(channel, on_return=self._on_return)
        self._returned.clear()
        return self._producer

    def _publish(self, producer: Producer, context: str, topic: str, envelopes: Sequence[Envelope]) -> int:
        """The number by which the broker will confirm it; 0 where it has done so already."""
        message = seal(context, envelopes)
        task = self._app.amqp.as_task_v2(str(uuid.uuid4()), TASK, [message], argsrepr="", kwargsrepr="")
        producer.publish(
            task.body,
            headers=task.headers,
            exchange=exchange().name,
            routing_key=topic,
            serializer="json",
            delivery_mode=PERSISTENT,
            mandatory=True,
            **task.properties,
        )
        return self._confirms.awaited() if self._confirms else 0

    def _wait_for(self, number: int) -> None:
        while self._confirms and self._connection and self._confirms.waits_for(number):
            self._connection.drain_events(timeout=WAIT_SECONDS)

    def _on_return(self, _: Any, __: str, topic: str, ___: Any) -> None:
        """It comes before the confirm. A topic's batches may differ if a queue was just bound: then all go again."""
        self._returned.add(topic)


class Confirms:
    """What was published on a channel and is not confirmed yet, by the numbers that RabbitMQ gives."""

    def __init__(self, channel: Any) -> None:
        self._last = 0
        self._missing: set[int] = set()
        channel.events["basic_ack"].add(self._confirmed)
        channel.events["basic_nack"].add(self._refused)
        channel.confirm_select()

    def awaited(self) -> int:
        """Count what was just published."""
        self._last += 1
        self._missing.add(self._last)
        return self._last

    def waits_for(self, number: int) -> bool:
        """Whether that is not confirmed yet."""
        return number in self._missing

    def _confirmed(self, number: int, up_to_there: bool) -> None:
        self._missing = {each for each in self._missing if each > number or (each < number and not up_to_there)}

    def _refused(self, *_: Any) -> None:
        raise ConnectionError("the broker can't keep a message")
