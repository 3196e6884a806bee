"""What is typed as a partition, and what each process is told."""

import signal

import pytest

from scripts.topologies import running
from scripts.topologies.partition import BadPartition, environment_of, groups_of, parts_of
from scripts.topologies.running import Kept, stop_all

pytestmark = pytest.mark.once


def test_a_comma_parts_and_a_plus_joins():
    assert groups_of("auth, catalog + ordering") == [("auth",), ("catalog", "ordering")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "'' is no context"),
        ("auth,tea", "'tea' is no context"),
        ("auth,catalog,", "'' is no context"),
        ("auth,catalog", "ordering is missing"),
        ("auth+auth,catalog,ordering", "auth is named twice"),
    ],
)
def test_what_is_no_partition_is_said(text, what):
    with pytest.raises(BadPartition, match=what):
        groups_of(text)


def test_each_process_knows_where_the_others_are_and_the_gateway_knows_all():
    parts = parts_of(groups_of("auth,catalog+ordering"), "0.0.0.0", 8000, [9001, 9002])  # noqa: S104  for clients
    told = {part.name: environment_of(part, parts, {"SHOP_HOME": "/shop"}) for part in parts}
    auth, both = "http://127.0.0.1:9001", "http://127.0.0.1:9002"
    every = {"SHOP_HOME": "/shop", "HOST": "127.0.0.1"}
    assert told == {
        "auth": {**every, "CONTEXTS": "auth", "PORT": "9001", "CATALOG_URL": both, "ORDERING_URL": both},
        "catalog+ordering": {**every, "CONTEXTS": "catalog,ordering", "PORT": "9002", "AUTH_URL": auth},
        "gateway": {
            **every,
            "HOST": "0.0.0.0",  # noqa: S104  the same
            "CONTEXTS": "none",
            "SERVER_THREADS": "32",
            "PORT": "8000",
            "AUTH_URL": auth,
            "CATALOG_URL": both,
            "ORDERING_URL": both,
        },
    }


def test_a_shop_in_one_process_needs_no_gateway():
    [part] = parts_of(groups_of("auth+catalog+ordering"), "127.0.0.1", 8000, [9001])
    assert (part.name, part.port) == ("shop", 8000)


@pytest.mark.parametrize(
    ("host", "url"),
    [("10.0.0.7", "http://10.0.0.7:8000"), ("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000")],  # noqa: S104  listened at
)
def test_where_a_shop_is_asked_by_its_own_machine(host, url):
    [part] = parts_of(groups_of("auth+catalog+ordering"), host, 8000, [])
    assert part.url == url


class Held:
    """A process that only notes what is done to it."""

    pid = 0

    def __init__(self):
        self.signals = []

    def poll(self):
        return None

    def send_signal(self, number):
        self.signals.append(number)

    def wait(self, seconds):
        return 0


def test_who_stops_while_a_process_is_begun_anew_stops_both(monkeypatch):
    # given a process of which a new one was begun, when Ctrl-C comes
    old, new = Held(), Held()
    begun = iter([old, new])
    monkeypatch.setattr(running.subprocess, "Popen", lambda *_, **__: next(begun))
    monkeypatch.setattr(running.time, "sleep", interrupted)
    kept = Kept("shop", ("manage.py", "serve"), {})
    with pytest.raises(KeyboardInterrupt):
        kept.renew()
    # then neither goes on
    stop_all([kept])
    assert (old.signals, new.signals) == ([signal.SIGTERM], [signal.SIGTERM])


def interrupted(_):
    raise KeyboardInterrupt
