"""Redis as a broker: what a worker has taken stays known until it is done with, whatever becomes of the worker."""

import json
from contextlib import suppress

import pytest
from kombu import Exchange, Queue
from redis import Redis

from shop.events.broker import streams
from tests.brokers import URLS, connected, namespace
from tests.e2e.people import eventually

pytestmark = pytest.mark.once

TOPIC = "ordering.order_placed.v1"
IDLE = 1.0


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setattr(streams, "IDLE_SECONDS", IDLE)
    monkeypatch.setattr(streams, "RENEW_SECONDS", IDLE / 10)
    with namespace(URLS["Redis"]) as name:
        place = Exchange(f"{name}.events", type="topic")
        made = Queue(f"{name}.events.ordering", place, routing_key=TOPIC)
        with connected(URLS["Redis"]) as connection:
            made(connection.default_channel).declare()
        yield made


class Worker:
    """Takes messages as Celery does, and acknowledges when a test says so."""

    def __init__(self, queue, prefetch=10):
        self.connection = connected(URLS["Redis"])
        self.taken = []
        consumer = self.connection.Consumer([queue], on_message=self.taken.append, accept=["json"])
        consumer.qos(prefetch_count=prefetch)
        consumer.consume()

    def look(self):
        """Take what there is; the numbers of all that was ever taken."""
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=0.02)
        return [message.payload for message in self.taken]

    def vanish(self):
        """Be gone as by `kill -9`: nothing is given back."""
        self.connection = None


@pytest.fixture
def workers(queue):
    made = []

    def begin(**options):
        made.append(Worker(queue, **options))
        return made[-1]

    yield begin
    for worker in made:
        if worker.connection:
            worker.connection.release()


@pytest.fixture
def send(queue):
    def publish(*numbers):
        with connected(URLS["Redis"]) as connection:
            for number in numbers:
                connection.Producer().publish(number, exchange=queue.exchange, routing_key=TOPIC, serializer="json")

    return publish


def left(queue):
    """What Redis still has of a queue: taken or not."""
    with Redis.from_url(URLS["Redis"]) as client:
        return client.xlen(queue.name)


def test_each_message_goes_to_one_worker_and_is_gone_when_it_is_done(queue, workers, send):
    send(1, 2, 3)
    one, other = workers(prefetch=2), workers()
    assert (one.look(), other.look()) == ([1, 2], [3])
    for message in one.taken + other.taken:
        message.ack()
    assert left(queue) == 0


def test_no_more_is_taken_than_a_worker_may_hold(workers, send):
    send(1, 2)
    worker = workers(prefetch=1)
    assert (worker.look(), worker.look()) == ([1], [1])
    worker.taken[0].ack()
    assert worker.look() == [1, 2]


def test_what_a_killed_worker_held_goes_to_another(queue, workers, send):
    send(1, 2)
    killed, other = workers(), workers()
    assert killed.look() == [1, 2]
    killed.vanish()
    # then not at once, as it might be alive
    assert other.look() == []
    eventually(lambda: sorted(other.look()) == [1, 2])
    for message in other.taken:
        message.ack()
    assert left(queue) == 0


def test_what_a_living_worker_holds_for_long_stays_its_own(workers, send):
    send(1)
    slow, other = workers(prefetch=1), workers()
    assert slow.look() == [1]
    for _ in range(int(2 * IDLE / 0.04)):
        slow.look()
        assert other.look() == []
    slow.taken[0].ack()


def test_a_worker_that_stops_gives_back_at_once(workers, send, monkeypatch):
    monkeypatch.setattr(streams, "IDLE_SECONDS", 20.0)
    send(1)
    stopped, other = workers(), workers()
    assert stopped.look() == [1]
    stopped.connection.release()
    eventually(lambda: other.look() == [1])


def test_what_is_put_back_comes_again(queue, workers, send):
    send(1, 2)
    worker = workers(prefetch=1)
    worker.look()
    worker.taken[0].requeue()
    assert worker.look() == [1, 2]
    worker.taken[1].ack()
    assert worker.look() == [1, 2, 1]
    assert left(queue) == 1


def test_what_could_not_be_acknowledged_goes_to_another(workers, send, monkeypatch):
    send(1)
    one, other = workers(prefetch=1), workers()
    assert one.look() == [1]
    # when Redis does not hear that it is done
    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr(streams.Channel, "finish", lambda *_, **__: (_ for _ in ()).throw(TimeoutError))
        one.taken[0].ack()
    # then its holder claims it no more, though it goes on
    send(2)
    eventually(lambda: 1 in other.look() or one.look().count(1) == 2)


def test_an_entry_that_nobody_of_ours_wrote_is_shown_as_it_is(queue, workers):
    with Redis.from_url(URLS["Redis"]) as client:
        client.xadd(queue.name, {b"\xffodd": b"thing"})
        client.xadd(queue.name, {"message": "[1]"})
    worker = workers()
    worker.look()
    eventually(lambda: len(worker.look()) == 2)
    assert [message.payload for message in worker.taken] == [{"\ufffdodd": "thing"}, {"message": "[1]"}]


GOOD = {"body": "1", "content-type": "application/json", "content-encoding": "utf-8", "headers": {}, "properties": {}}
POISON = {
    "too deep": "[" * 200_000,
    "no base64": json.dumps({**GOOD, "body": "%%%a", "properties": {"body_encoding": "base64"}}),
    "an unknown encoding": json.dumps({**GOOD, "properties": {"body_encoding": "tea"}}),
    "headers that are a list": json.dumps({**GOOD, "headers": [1]}),
    "properties that are a list": json.dumps({**GOOD, "properties": [1]}),
    "a way that is a text": json.dumps({**GOOD, "properties": {"delivery_info": "x"}}),
    "packed": json.dumps({**GOOD, "headers": {"compression": "zlib"}}),
    "a number": "5",
}


@pytest.mark.parametrize("what", POISON)
def test_an_entry_that_can_not_be_opened_does_not_stand_in_the_way(what, queue, workers, send):
    with Redis.from_url(URLS["Redis"]) as client:
        client.xadd(queue.name, {"message": POISON[what]})
    send(1)
    worker = workers()
    eventually(lambda: len(worker.look()) == 2)
    assert [message.payload for message in worker.taken] == [{"message": POISON[what]}, 1]


def test_a_topic_goes_to_every_queue_that_is_bound_or_back_to_its_sender(queue, send):
    returned = []
    with connected(URLS["Redis"]) as connection:
        second = Queue(f"{queue.name}.second", queue.exchange, routing_key=TOPIC)(connection.default_channel)
        second.declare()
        send(1)
        assert (left(queue), left(second)) == (1, 1)
        producer = connection.Producer(on_return=lambda *told: returned.append(told[2]))
        producer.publish(1, exchange=queue.exchange, routing_key="ordering.forgotten.v1", mandatory=True)
        assert returned == ["ordering.forgotten.v1"]
        # when one of the queues is deleted, and then the other
        second.delete()
        for gone in (False, True):
            producer.publish(1, exchange=queue.exchange, routing_key=TOPIC, mandatory=True)
            assert (returned[1:] == [TOPIC], left(second)) == (gone, 0)
            queue(connection.default_channel).delete()


def test_a_queue_that_got_lost_is_told_though_another_has_the_message(queue, send):
    returned = []
    with connected(URLS["Redis"]) as connection, Redis.from_url(URLS["Redis"]) as client:
        second = Queue(f"{queue.name}.second", queue.exchange, routing_key=TOPIC)(connection.default_channel)
        second.declare()
        producer = connection.Producer(on_return=lambda *told: returned.append(told[2]))
        client.delete(second.name)  # as a Redis does that is full
        producer.publish(1, exchange=queue.exchange, routing_key=TOPIC, mandatory=True)
        assert (returned, left(queue)) == ([TOPIC], 1)
        # when it is declared again, then both have it
        second.declare()
        producer.publish(1, exchange=queue.exchange, routing_key=TOPIC, mandatory=True)
        assert (returned, left(queue), left(second)) == ([TOPIC], 2, 1)
