"""What a worker puts back comes again as often as it must, though the queue drops what came back too often."""

import threading

import pytest
from django.conf import settings
from django.db import OperationalError

from shop.events.broker import again, receiving, sending, topology
from shop.events.broker.again import append_what_is_put_back
from shop.events.broker.sending import Sender
from shop.events.broker.topology import queues
from tests.brokers import URLS, declared, waiting_in, worker
from tests.kernel.broker.test_sealing import EVENT
from tests.kernel.broker.test_sending import BOUND

pytestmark = pytest.mark.once

MOST = 2


@pytest.fixture
def app(settings, monkeypatch):
    """Queues as RabbitMQ 4 makes them by itself, but that its limit is 20."""
    monkeypatch.setitem(topology.QUORUM, "x-delivery-limit", MOST)
    with declared(settings, URLS["RabbitMQ"]) as made:
        yield made


@pytest.fixture
def send(app):
    sender = Sender(app)
    yield lambda: list(sender.send("catalog", [(BOUND, [EVENT])]))
    sender.close()


@pytest.fixture
def next_one(app):
    """Take the next message of ordering's queue."""
    [queue] = [each for each in queues() if each.name.endswith("ordering")]
    with app.connection_for_read() as connection:
        bound = queue(connection.default_channel)

        def take():
            message = bound.get(no_ack=False)
            if message is not None:
                append_what_is_put_back(message, queue.name, app)
            return message

        yield take


@pytest.fixture
def left(settings):
    return lambda: waiting_in(settings.BROKER_URL, settings.BROKER_NAMESPACE, "ordering")


def test_what_is_put_back_is_never_too_often_back(send, next_one, left):
    send()
    seen = []
    for _ in range(3 * MOST):
        message = next_one()
        seen.append((message.body, dict(message.headers), message.content_type, message.content_encoding))
        message.reject(requeue=True)
    assert seen == seen[:1] * 3 * MOST
    # when it is done
    next_one().ack()
    assert (next_one(), left()) == (None, 0)


def test_the_queue_itself_would_have_dropped_it(send, next_one, monkeypatch):
    monkeypatch.setattr(again, "_is_appended", lambda *_: False)
    send()
    for _ in range(MOST + 1):
        next_one().reject(requeue=True)
    assert next_one() is None


def test_it_comes_behind_what_waits(send, next_one):
    send(), send()
    first, second = next_one(), next_one()
    second.reject(requeue=True)
    first.reject(requeue=True)
    assert [next_one().body for _ in range(2)] == [second.body, first.body]


def test_what_was_packed_can_be_opened_every_time(app, next_one, settings):
    queue = f"{settings.BROKER_NAMESPACE}.events.ordering"
    with app.connection_for_write() as connection:
        connection.Producer().publish({"tea": "pot"}, exchange="", routing_key=queue, compression="zlib")
    for _ in range(2):
        message = next_one()
        assert (message.payload, message.errors) == ({"tea": "pot"}, [])
        message.reject(requeue=True)


def test_what_is_thrown_away_stays_so(send, next_one, left):
    send()
    next_one().reject(requeue=False)
    assert (next_one(), left()) == (None, 0)


def test_where_it_can_not_be_appended_the_broker_has_it_back(app, send, next_one, monkeypatch):
    def refuse(*_):
        raise ConnectionRefusedError

    send()
    message = next_one()
    monkeypatch.setattr(sending.Sender, "_open", refuse)
    message.reject(requeue=True)
    assert next_one().body == message.body


@pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"], transaction=True)
def test_a_worker_tries_until_the_inbox_is_back(app, send, left, monkeypatch):
    """Given an inbox that is away for longer than the queue would wait."""
    tries, is_taken = [], threading.Event()

    def hand_over(envelopes):
        tries.append(envelopes)
        if len(tries) <= 3 * MOST:
            raise OperationalError("away")
        is_taken.set()
        return []

    monkeypatch.setattr(receiving, "hand_over", hand_over)
    monkeypatch.setattr(receiving, "AGAIN_SECONDS", 0.0)
    with worker(app):
        send()
        assert is_taken.wait(30)
    assert tries == [[EVENT]] * (3 * MOST + 1)
    assert left() == 0
