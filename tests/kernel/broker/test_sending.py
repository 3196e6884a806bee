"""Sending to a real broker: what was sent is kept, what no queue is bound to is told, and silence is not waited for."""

import time
from urllib.parse import urlsplit

import pytest

from shop.events.away import Away
from shop.events.broker import sending
from shop.events.broker.app import make_app
from shop.events.broker.sealing import unseal
from shop.events.broker.sending import Sender
from shop.events.broker.topology import declare, exchange, queues
from tests.brokers import URLS, namespace, waiting_in
from tests.faults.fault_proxy import FaultProxy
from tests.kernel.broker.test_sealing import EVENT

pytestmark = pytest.mark.once

BOUND = "ordering.order_placed.v1"
"""A topic that ordering handles itself."""


@pytest.fixture(params=list(URLS))
def broker(request, settings):
    settings.BROKER_URL = URLS[request.param]
    with namespace(settings.BROKER_URL) as settings.BROKER_NAMESPACE:
        yield settings.BROKER_URL


@pytest.fixture
def declared(broker, settings):
    with make_app().connection_for_write() as connection:
        declare(connection)


@pytest.fixture
def sender(broker):
    made = Sender(make_app())
    yield made
    made.close()


def send(sender, topic=BOUND, *, context="ordering"):
    [is_taken] = sender.send(context, [(topic, [EVENT])])
    return is_taken


@pytest.fixture
def waiting(broker, settings):
    return lambda: waiting_in(broker, settings.BROKER_NAMESPACE, "ordering")


@pytest.mark.usefixtures("declared")
def test_what_is_sent_waits_in_the_queue_of_who_handles_it(sender, waiting):
    assert [send(sender) for _ in range(3)] == [True] * 3
    assert waiting() == 3


@pytest.mark.usefixtures("declared")
def test_a_message_says_nothing_but_what_was_sealed(sender, settings):
    send(sender, context="catalog")
    # when a worker takes it
    app = make_app()
    with app.connection_for_read() as connection:
        [queue] = [each for each in queues() if each.name.endswith("ordering")]
        message = queue(connection.default_channel).get(no_ack=True)
    (sealed,), options, _ = message.payload
    assert (unseal(sealed), options) == ([EVENT], {})
    assert "Ada" not in str(message.headers)


@pytest.mark.usefixtures("declared")
def test_several_batches_are_under_way_at_once_and_each_has_its_fate(sender, waiting):
    topics = [BOUND, "ordering.order_forgotten.v1", BOUND]
    assert list(sender.send("ordering", [(topic, [EVENT]) for topic in topics])) == [True, False, True]
    assert waiting() == 2
    assert send(sender) is True


@pytest.mark.usefixtures("declared")
def test_a_topic_without_a_queue_is_told(sender, waiting):
    assert send(sender, "ordering.order_forgotten.v1") is False
    assert send(sender) is True
    assert waiting() == 1


def test_nothing_is_declared_yet(broker, sender):
    assert send(sender) is False


@pytest.mark.usefixtures("declared")
def test_declaring_again_changes_nothing(sender, waiting):
    send(sender)
    with make_app().connection_for_write() as connection:
        declare(connection)
    assert waiting() == 1


@pytest.fixture
def proxy(declared, settings):
    place = urlsplit(settings.BROKER_URL)
    with FaultProxy(place.hostname, place.port) as made:
        settings.BROKER_URL = place._replace(netloc=place.netloc.replace(f":{place.port}", f":{made.port}")).geturl()
        yield made


def test_a_broker_that_is_gone_is_away_at_once(proxy, settings):
    sender = Sender(make_app())
    assert send(sender) is True
    # when it is gone
    proxy.refuse()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Away):
            send(sender)
        assert time.monotonic() - began < sending.WAIT_SECONDS
    # when it is back
    proxy.heal()
    assert send(sender) is True
    sender.close()


def test_a_broker_that_is_silent_is_away_after_some_seconds(proxy, settings, monkeypatch):
    monkeypatch.setattr(sending, "WAIT_SECONDS", 1.0)
    sender = Sender(make_app())
    assert send(sender) is True
    # when it takes all and answers nothing, on the open connection and on a new one
    proxy.black_hole()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Away):
            send(sender)
        assert time.monotonic() - began < 6
    proxy.heal()
    assert send(sender) is True
    sender.close()


def test_names_begin_with_the_namespace(settings):
    settings.BROKER_NAMESPACE = "other"
    assert exchange().name == "other.events"
    assert "other.events.ordering" in {each.name for each in queues()}
