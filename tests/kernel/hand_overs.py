"""The ways from an outbox to the handlers, one round at a time: in this process, over a broker and back, or by HTTP."""

import json
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from celery.exceptions import Reject
from django.test import RequestFactory
from kombu import Queue

from shop.events import relay
from shop.events.apart import Neighbours
from shop.events.broker.app import make_app
from shop.events.broker.receiving import take
from shop.events.broker.sending import Sender
from shop.events.broker.topology import declare, queues
from shop.events.handlers import handlers_in
from shop.gateway.face.taking import take_events
from shop.services.transport.http.connections import Answer, NotSent
from tests.kernel.probes import ALIASES, CONTEXT

EVERY_HAND_OVER = pytest.mark.parametrize("hand_over", ["embedded", "RabbitMQ", "Redis", "HTTP"], indirect=True)


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


class ByHttp:
    """The relay posts batches to the context, which lives elsewhere as far as it knows: the face takes them here."""

    def __init__(self) -> None:
        self.refused = 0
        self.posted: list[str] = []
        self._neighbours = Neighbours()

    def relay(self) -> int:
        """Post what is due; how many events."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("shop.events.apart.target_of", lambda *_: SimpleNamespace(connections=self))
            patch.setattr("shop.events.apart._is_taken_here", lambda *_: True)
            return sum(relay.relay(alias, self._neighbours.send) for alias in ALIASES)

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
        """As `Connections`."""
        self.posted.append(path)
        if path.endswith("topics"):
            topics = sorted({handler.event_type.topic() for handler in handlers_in(CONTEXT)})
            return Answer(status=200, body=json.dumps({"topics": topics}).encode())
        if self.refused:
            self.refused -= 1
            raise NotSent("nobody is there")
        request = RequestFactory().generic(method, path, body, content_type=headers["Content-Type"])
        answer = take_events(CONTEXT, request)
        return Answer(status=answer.status_code, body=answer.content)
