"""What could not be taken is kept, whatever is in it."""

import json

import pytest

from shop.events.broker.parked import WhichParked, park, take_again
from shop.events.models import ParkedMessage
from shop.sharding import home_of, hosted_contexts

HOMES = [home_of(context) for context in hosted_contexts()]
HOME = HOMES[0]
pytestmark = pytest.mark.django_db(databases=HOMES)

UNSTORABLE = ["a\0b", "\ud800", {"a\0": 1}, {"x": float("nan")}, {"x": ["\udcff"]}, {"version": 1, "events": "\0"}]


@pytest.mark.parametrize("message", UNSTORABLE, ids=repr)
def test_what_no_database_takes_is_kept_escaped(message):
    for _ in range(2):
        park(message, topic="a\0b\ud800", reason="unknown version")
    [row] = ParkedMessage.objects.using(HOME)
    assert (row.message, row.topic) == ({"raw": json.dumps(message, sort_keys=True)}, "a\\0b\\ud800")
    # then nobody takes it, and it stays
    assert take_again(WhichParked(), by="test") == (0, 1)


@pytest.mark.parametrize("message", [{"version": 7}, "für Ada", "\\u0000 in words", [1, None, 10**400]], ids=repr)
def test_everything_else_is_kept_as_it_is(message):
    park(message, topic="catalog.tea.v1", reason="unknown version")
    [row] = ParkedMessage.objects.using(HOME)
    assert row.message in (message, {"raw": json.dumps(message)})
