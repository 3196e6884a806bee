"""`/metrics`: who may see it, what its labels can be, and figures read from the databases."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from shop.events.models import InboxEntry, OutboxEvent
from shop.observability import figures
from shop.observability.figures import Board
from shop.sharding import aliases_of, new_id, shard_atomic, shard_map
from shop.sharding.readiness import all_aliases
from tests.shards import ANOTHER_SHARD

TOKEN = "a token of some length"
ALL = all_aliases()


@pytest.fixture(autouse=True)
def nothing_is_read(monkeypatch):
    """The page's own reading would use databases in another thread."""
    monkeypatch.setattr(figures.board, "renew", lambda: None)


# ---- who may see it ------------------------------------------------------------------------------------------

PEERS = {
    "this machine": ({"REMOTE_ADDR": "127.0.0.1"}, "", 200),
    "this machine, IPv6": ({"REMOTE_ADDR": "::1"}, "", 200),
    "this machine, with a token set": ({"REMOTE_ADDR": "127.0.0.1"}, TOKEN, 200),
    "another machine": ({"REMOTE_ADDR": "192.0.2.1"}, "", 403),
    "another machine, without the token": ({"REMOTE_ADDR": "192.0.2.1"}, TOKEN, 401),
    "a proxy here": ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, "", 403),
    "a proxy here, by the standard": ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=127.0.0.1"}, "", 403),
    "no address at all": ({"REMOTE_ADDR": ""}, "", 403),
}


@pytest.mark.once
@pytest.mark.parametrize(("headers", "token", "status"), PEERS.values(), ids=PEERS)
def test_who_may_see_it_without_a_token(headers, token, status, client, settings):
    settings.METRICS_TOKEN = token
    answer = client.get("/metrics", **headers)
    assert answer.status_code == status
    assert (b"shop_build_info" in answer.content) == (status == 200)


@pytest.mark.once
@pytest.mark.parametrize(
    ("given", "status"),
    [(f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), ("Bearer x", 401), (TOKEN, 401), ("Bearer é", 401)],
)
def test_the_token_opens_it_from_everywhere(given, status, client, settings):
    settings.METRICS_TOKEN = TOKEN
    for address in ("192.0.2.1", "127.0.0.1"):
        answer = client.get("/metrics", REMOTE_ADDR=address, HTTP_AUTHORIZATION=given)
        assert answer.status_code == status


@pytest.mark.once
def test_it_is_read_only(client):
    assert client.post("/metrics").status_code == 405


# ---- labels --------------------------------------------------------------------------------------------------


@pytest.mark.once
def test_addresses_and_methods_that_are_none_are_one_label(client):
    before = client.get("/metrics").content.decode()
    for n in range(5):
        client.get(f"/nothing-here-{n}?q={n}")
        client.generic(f"ODD{n}", "/livez")
        client.get(f"/api/v1/catalog/nothing-{n}")
    page = client.get("/metrics").content.decode()
    assert 'route="unknown"' in page
    assert 'method="unknown"' in page
    assert "nothing-" not in page
    assert "ODD" not in page
    new = {line.partition(" ")[0] for line in set(page.splitlines()) - set(before.splitlines())}
    series = {name for name in new if name.startswith("shop_request_seconds_count")}
    assert len(series) <= 4


# ---- figures -------------------------------------------------------------------------------------------------


def shown(board, name):
    """Values of one figure by its labels."""
    [family] = [family for family in board.collect() if family.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def waiting_event(alias, age):
    at = datetime.now(UTC) - age
    key = new_id("catalog", bucket=shard_map("catalog").slices_of(alias)[0][0])
    with shard_atomic("catalog", key):
        OutboxEvent.objects.using(alias).create(
            id=key, topic="t", key="k", shard_key=key, event_seq=1, payload={}, available_at=at, created_at=at
        )


@pytest.mark.django_db(databases=ALL)
@ANOTHER_SHARD
def test_depth_and_age_of_each_outbox():
    first, *others, last = aliases_of("catalog")
    waiting_event(last, timedelta(seconds=90))
    waiting_event(last, timedelta(seconds=10))
    board = Board()
    board.read()
    depth, age = shown(board, "shop_outbox_pending"), shown(board, "shop_outbox_oldest_seconds")
    assert [depth[alias,] for alias in (first, *others, last)] == [0] * (1 + len(others)) + [2]
    assert (90 <= age[last,] < 150, age[first,]) == (True, 0)


@pytest.mark.django_db(databases=ALL)
def test_dead_and_waiting_entries_of_each_inbox():
    for state in ("dead", "dead", "retry", "done"):
        key = new_id("catalog", bucket=10)
        with shard_atomic("catalog", key):
            InboxEntry.objects.using("catalog_0").create(
                id=key, handler="h", event_id=key, key="k", event_seq=1, state=state
            )
    board = Board()
    board.read()
    entries = shown(board, "shop_inbox_entries")
    assert (entries["catalog_0", "dead"], entries["catalog_0", "retry"], entries["auth_0", "dead"]) == (2, 1, 0)


@pytest.mark.once
def test_a_database_that_fails_costs_its_own_figures_only(monkeypatch):
    def read(alias):
        if alias == "b":
            raise DatabaseError
        return {(): 1.0}

    monkeypatch.setattr(figures, "_figures", {})
    for name in ("one", "two"):
        figures.figure(name, "x", aliases=lambda: ["a", "b", "c"], read=read)
    board = Board()
    board.read()
    assert shown(board, "shop_database_up") == {("a",): 1, ("b",): 0, ("c",): 1}
    assert shown(board, "one") == shown(board, "two") == {("a",): 1, ("c",): 1}


@pytest.mark.once
def test_a_figure_that_hangs_holds_up_no_scrape(monkeypatch):
    forever, again = threading.Event(), []
    monkeypatch.setattr(figures, "_figures", {})
    monkeypatch.setattr(figures, "PATIENCE_SECONDS", 0.05)

    def hang(alias):
        again.append(alias)
        forever.wait(30)
        return {(): 1.0}

    figures.figure("slow", "x", aliases=lambda: ["a"], read=hang)
    board = Board()
    board.renew()
    Board.renew(board)
    assert again == ["a"]  # the second scrape waits for no second reading
    forever.set()
