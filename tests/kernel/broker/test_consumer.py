"""A worker and what anybody may write into a queue of a Redis: it is parked, and what comes behind it is handled."""

import threading

import pytest
from django.conf import settings
from redis import Redis

from shop.events.broker import receiving
from shop.events.broker.sending import Sender
from shop.events.models import ParkedMessage
from shop.sharding import home_of, hosted_contexts
from tests.brokers import URLS, declared, worker
from tests.kernel.broker.test_sealing import EVENT
from tests.kernel.broker.test_sending import BOUND
from tests.kernel.broker.test_streams import POISON

pytestmark = [
    pytest.mark.once,
    pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"], transaction=True),
]


@pytest.fixture
def app(settings):
    with declared(settings, URLS["Redis"]) as made:
        yield made


def test_nothing_that_is_written_ends_a_worker(app, settings, monkeypatch):
    # given all that nobody can open, and a batch behind it
    with Redis.from_url(URLS["Redis"]) as client:
        for entry in POISON.values():
            client.xadd(f"{settings.BROKER_NAMESPACE}.events.ordering", {"message": entry})
    sender = Sender(app)
    assert list(sender.send("catalog", [(BOUND, [EVENT])])) == [True]
    sender.close()
    # when a worker comes
    is_taken = threading.Event()
    monkeypatch.setattr(receiving, "hand_over", lambda _: is_taken.set() or [])
    with worker(app):
        assert is_taken.wait(30)
    # then
    assert ParkedMessage.objects.using(home_of(hosted_contexts()[0])).count() == len(POISON)
