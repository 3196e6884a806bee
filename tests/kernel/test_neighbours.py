"""Events handed over by HTTP: nobody waits for a context that is away, and nothing is lost by it."""

import json

import pytest
from django.test import RequestFactory

from shop.events.apart import Neighbours
from shop.events.broker.sealing import seal
from shop.events.envelope import Envelope
from shop.events.models import ParkedMessage
from shop.gateway.face.taking import take_events
from shop.services.transport.http.connections import Answer, NoAnswer, NotSent
from shop.sharding import home_of
from tests.kernel.probes import ALIASES

CUPS, POTS = "auth.cup_broken.v1", "auth.pot_broken.v1"


def event(topic=CUPS, number=1):
    return Envelope(
        event_id=number,
        topic=topic,
        key="7",
        event_seq=1,
        shard_key=7,
        payload={},
        traceparent="",
        actor="",
        causation="",
    )


class There:
    """A context that says which topics it handles, and counts what it gets."""

    def __init__(self, *topics):
        self.topics, self.got, self.asked, self.fails = topics, [], 0, None
        self.connections, self.refused, self.says = self, set(), b""

    def send(self, method, path, body, headers, *, seconds):
        if self.fails is not None:
            raise self.fails
        if path.endswith("/topics"):
            self.asked += 1
            if self.says:
                return Answer(status=200, body=self.says)
            return Answer(status=200, body=json.dumps({"topics": self.topics}).encode())
        topic = json.loads(json.loads(body)["events"])[0]["topic"]
        if topic in self.refused:
            return Answer(status=503, body=b"{}")
        self.got.append(topic)
        return Answer(status=200, body=self.says or b'{"taken": 1}')


@pytest.fixture
def there(settings, monkeypatch):
    """Catalog, which handles cups, and ordering, which handles both."""
    settings.CONTEXT_URLS = {"catalog": "http://catalog", "ordering": "http://ordering"}
    found = {"catalog": There(CUPS), "ordering": There(CUPS, POTS)}
    monkeypatch.setattr("shop.events.apart.target_of", lambda name, url: found[name])
    monkeypatch.setattr("shop.events.apart.REST_SECONDS", 0.0)
    return found


def fates(neighbours, *topics):
    return list(neighbours.send("auth", [(topic, [event(topic)]) for topic in topics]))


def test_each_gets_what_it_handles(there):
    assert fates(Neighbours(), CUPS, POTS, "auth.lid_broken.v1") == [True] * 3
    assert {name: each.got for name, each in there.items()} == {"catalog": [CUPS], "ordering": [CUPS, POTS]}


@pytest.mark.parametrize("fails", [NotSent("nobody"), NoAnswer(timed_out=True)])
def test_what_one_does_not_take_comes_again_and_the_others_go_on(fails, there):
    neighbours = Neighbours()
    assert fates(neighbours, CUPS) == [True]
    there["catalog"].fails = fails
    assert fates(neighbours, CUPS, POTS, CUPS) == [None, True, None]
    there["catalog"].fails = None
    assert fates(neighbours, CUPS) == [True]


def test_who_was_never_asked_may_handle_anything(there):
    there["catalog"].fails = NotSent("nobody")
    neighbours = Neighbours()
    assert fates(neighbours, POTS) == [None]
    there["catalog"].fails = None
    assert fates(neighbours, POTS) == [True]
    assert there["catalog"].got == []


def test_who_does_not_answer_is_not_waited_for_at_every_batch(there, monkeypatch):
    monkeypatch.setattr("shop.events.apart.REST_SECONDS", 60.0)
    there["catalog"].fails = NoAnswer(timed_out=True)
    neighbours = Neighbours()
    assert fates(neighbours, CUPS, CUPS) == [None, None]
    there["catalog"].fails = None
    assert fates(neighbours, CUPS) == [None]
    assert there["catalog"].asked == 0


def test_who_refuses_one_batch_is_given_the_next(there, monkeypatch):
    monkeypatch.setattr("shop.events.apart.REST_SECONDS", 60.0)
    there["ordering"].refused = {CUPS}
    assert fates(Neighbours(), CUPS, POTS) == [None, True]
    assert there["ordering"].got == [POTS]


NONSENSE = [b"<html>", b"[]", b'{"topics": 5}', b"\xff", b"[" * 200_000, b'{"taken": 2}']


@pytest.mark.parametrize("says", NONSENSE, ids=lambda body: repr(body[:20]))
@pytest.mark.parametrize("knows", [False, True], ids=["from the beginning", "later"])
def test_who_answers_nonsense_has_taken_nothing_and_holds_up_no_other(says, knows, there):
    neighbours = Neighbours()
    if knows:
        fates(neighbours, CUPS)
    there["catalog"].says = says
    assert fates(neighbours, CUPS, POTS)[0] is None
    assert there["ordering"].got[-2:] == [CUPS, POTS]
    # when it speaks again, then it takes them
    there["catalog"].says = b""
    assert fates(Neighbours(), CUPS) == [True]


def test_topics_are_asked_for_now_and_then(there, monkeypatch):
    neighbours = Neighbours()
    fates(neighbours, CUPS)
    fates(neighbours, CUPS)
    assert there["catalog"].asked == 1
    # when a new version handles more
    there["catalog"].topics = (CUPS, POTS)
    monkeypatch.setattr("shop.events.apart.KNOWN_SECONDS", 0.0)
    later = Neighbours()
    fates(later, CUPS)
    fates(later, POTS)
    assert there["catalog"].got[-1] == POTS


def posted(body):
    return take_events("catalog", RequestFactory().generic("POST", "/_svc/catalog/v1/events", body))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"{}", 401),
        (b"[]", 401),
        (json.dumps({"version": 1, "token": "x", "events": "[]"}).encode(), 401),
        (b"[" * 200_000, 400),
        (b"x" * (1 << 21), 400),
    ],
)
def test_what_nobody_has_sealed_is_not_taken(body, status):
    assert posted(body).status_code == status


@pytest.mark.django_db(databases=ALIASES)
def test_a_topic_that_nobody_here_knows_is_parked():
    assert posted(json.dumps(seal("auth", [event()])).encode()).status_code == 200
    [parked] = ParkedMessage.objects.using(home_of("catalog"))
    assert (parked.topic, parked.reason) == (CUPS, "no handler here knows this topic")
