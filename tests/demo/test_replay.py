"""Replays of small files: what is bought, what goes back, what is refused, and that nothing is ever done twice."""

from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connections
from django.test.utils import CaptureQueriesContext
from django.utils.module_loading import import_string

from config.demo.replay import client as asking
from config.demo.replay import draining
from config.demo.replay.baskets import baskets_of
from config.demo.replay.client import StoppedError
from config.demo.replay.running import RelayPausedError
from contexts.auth.models import Customer
from contexts.catalog.models import Variant
from contexts.catalog.tests.factories import archive, assert_the_books_balance
from contexts.ordering import services
from contexts.ordering.models import Order, Refund
from contexts.ordering.services import providers
from contexts.ordering.services.providers import ProviderAway
from shop.contract import ConflictError, Principal
from shop.http import idempotency
from shop.http.idempotency import Claim, claim
from shop.sharding.readiness import all_aliases
from tests.demo.sales import (
    CAKESTAND,
    CASES,
    HEART,
    load_products,
    moved_by_sku,
    orders_by_email,
    providers_sums,
    recount,
    replayed,
    rows_everywhere,
    stock_by_sku,
    written,
)

ALIASES = all_aliases()

pytestmark = pytest.mark.django_db(databases=ALIASES, transaction=True)


@pytest.fixture(autouse=True)
def stock():
    """Pieces on hand before, by SKU."""
    load_products([CAKESTAND, CASES, HEART])
    return stock_by_sku()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(asking, "RETRY_AFTER_SECONDS", 0.01)


@pytest.fixture
def file(tmp_path):
    """Writes a file of these lines."""
    return lambda *lines: written(tmp_path / "sales.csv", *lines)


def orders():
    return Order.objects.across().count()


@pytest.mark.once
def test_the_stories_know_all_databases():
    assert all_aliases() == ALIASES


def test_baskets_are_bought_and_paid_and_their_pieces_sold(file, stock):
    # given two baskets of one customer, one of a guest, a SKU twice in one of them
    began = datetime.now(UTC).isoformat()
    path = file(
        f"1,order,17850,{CAKESTAND},2",
        f"1,order,17850,{HEART},1",
        f"1,order,17850,{CAKESTAND},3",
        f"2,order,,{CASES},700",
        f"3,order,17850,{HEART},4",
    )
    # when
    summary = replayed(path)
    # then they cost what the catalog says today
    assert [order.total for order in orders_by_email()["17850@replay.invalid"]] == [5 * 1275 + 295, 4 * 295]
    assert [order.total for order in orders_by_email()["guest-2@replay.invalid"]] == [700 * 55]
    assert summary["charged"] == {"GBP": 5 * 1275 + 5 * 295 + 700 * 55} == {"GBP": providers_sums(began)[0]}
    # and their pieces came in before and went out again
    assert moved_by_sku("adjusted", "replay") == {CAKESTAND: 5, HEART: 5, CASES: 700}
    assert moved_by_sku("sold") == {CAKESTAND: -5, HEART: -5, CASES: -700}
    assert stock_by_sku() == stock
    assert_the_books_balance()
    # and the summary says so
    assert summary["made"] == {"customers": 1, "guests": 1}
    assert summary["stock"] == {"pieces": 710}
    assert summary["orders"] | {"lines": 4, "pieces": 710, "placed": 3, "paid": 3} == summary["orders"]
    assert [sum(by_shard.values()) for by_shard in summary["rows"].values()] == [2, 4, 3, 4]
    assert not any(summary["left"].values())


def test_what_is_cancelled_goes_back_on_the_latest_paid_order_that_holds_it(file):
    began = datetime.now(UTC).isoformat()
    path = file(
        f"1,order,17850,{CAKESTAND},2",
        f"1,order,17850,{CASES},1",
        f"2,order,17850,{CAKESTAND},3",
        f"C3,cancellation,17850,{CAKESTAND},1",  # on the second order
        f"C3,cancellation,17850,{CASES},9",  # on the first, which has one piece of it
        f"C4,cancellation,17850,{CAKESTAND},9",  # three pieces at most, and money for two is left
        f"C5,cancellation,17850,{CAKESTAND},1",  # nothing is left there
        f"C6,cancellation,17850,{HEART},1",  # never bought
        f"C7,cancellation,13047,{CAKESTAND},1",  # by nobody known
        f"C8,cancellation,,{CAKESTAND},1",  # by nobody at all
    )
    # when
    summary = replayed(path)
    # then
    assert [order.back for order in orders_by_email()["17850@replay.invalid"]] == [55, 3 * 1275]
    wanted = {"lines": 7, "refunds": 3, "cut_short": 2, "unmatched_lines": 3}
    assert summary["cancellations"] == {**wanted, "done_before": 0}
    assert summary["given_back"] == {"GBP": 55 + 3 * 1275} == {"GBP": providers_sums(began)[1]}
    assert orders_by_email() == recount(path).by_email
    statuses = Refund.objects.across().rows()
    assert {(row.status, row.reason[:20]) for row in statuses} == {("succeeded", "replay: cancellation")}


def test_the_same_run_again_does_nothing_and_says_the_same_and_another_one_buys_again(file):
    path = file(
        f"1,order,17850,{CAKESTAND},2",
        f"2,order,,{CASES},1",
        f"C3,cancellation,17850,{CAKESTAND},1",
        f"4,order,17850,{CAKESTAND},1",  # what was cancelled before must not go back on this one
    )
    first, before = replayed(path), rows_everywhere()
    # when
    again = replayed(path)
    # then
    assert rows_everywhere() == before
    assert (again["orders"]["done_before"], again["cancellations"]["done_before"]) == (3, 1)
    for part in ("file", "stock", "charged", "given_back", "rows"):
        assert again[part] == first[part]
    # when
    replayed(path, run="another")
    # then
    assert (orders(), Customer.objects.across().count()) == (6, 2)


@pytest.mark.once
def test_a_longer_part_of_the_file_under_the_same_name_adds_to_what_is_there(file, stock):
    path = file(f"1,order,17850,{CAKESTAND},2", f"2,order,17850,{HEART},1", f"3,order,,{CASES},5")
    replayed(path, limit=1)
    # when
    summary = replayed(path)
    # then
    assert (orders(), summary["orders"]["done_before"]) == (3, 1)
    assert stock_by_sku() == stock


@pytest.mark.once
def test_another_basket_of_the_same_number_stops_a_run(file):
    replayed(file(f"1,order,17850,{CAKESTAND},2"))
    with pytest.raises(StoppedError, match="invoice 1: the run story had another invoice of this number"):
        replayed(file(f"1,order,17850,{CAKESTAND},3"))
    assert orders() == 1


ONCE = pytest.mark.once


@pytest.mark.parametrize(
    ("death", "killed"),
    [
        (("before", "placing._write", 2), True),  # the pieces are held by then
        (("after", "paying._ask", 2), True),  # the money is taken by then
        (("after", "request_refund", 1), True),
        pytest.param(("after", "place_order", 2), True, marks=ONCE),
        pytest.param(("after", "pay", 3), False, marks=ONCE),
        pytest.param(("after", "request_refund", 2), False, marks=ONCE),
    ],
)
def test_a_run_that_broke_off_at_any_step_goes_on_where_it_was(file, stock, monkeypatch, death, killed):
    # given a process that ends before or after a step, having given its claims up, or not, when it was killed
    path = file(
        f"1,order,17850,{CAKESTAND},2",
        f"2,order,17850,{CASES},2",
        f"C3,cancellation,17850,{CAKESTAND},1",
        f"C3,cancellation,17850,{CASES},1",
        f"4,order,17850,{CAKESTAND},1",
    )
    moment, step, calls = death
    real, left = import_string(f"contexts.ordering.services.{step}"), [calls]

    def dying(*args, **kwargs):
        left[0] -= 1
        if left[0]:
            return real(*args, **kwargs)
        if moment == "after":
            real(*args, **kwargs)
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(f"contexts.ordering.services.{step}", dying)
        patch.setattr(idempotency, "LEASE_SECONDS", 0.2)
        if killed:
            patch.setattr(Claim, "give_up", lambda held: None)
        with pytest.raises(StoppedError, match=r"invoice C?\d: RuntimeError, see the log"):
            replayed(path)
    # when
    summary = replayed(path)
    # then
    assert orders_by_email() == recount(path).by_email
    assert summary["orders"]["placed"] == summary["orders"]["paid"] == 3
    assert summary["given_back"] == {"GBP": 1275 + 55}
    assert stock_by_sku() == stock
    assert_the_books_balance()


@pytest.mark.once
def test_a_cancellation_one_of_whose_refunds_is_in_other_hands_waits_for_it(file, monkeypatch):
    # given a run that broke off in the middle of a cancellation, and somebody who still holds the key of its refund
    path = file(f"1,order,17850,{CAKESTAND},2", f"C2,cancellation,17850,{CAKESTAND},1")
    replayed(path, limit=1)
    [order], [_, cancellation] = Order.objects.across().rows(), baskets_of(path)
    customer = Principal(id=str(order.customer_id), role="customer", session_id="replay")
    held = claim("ordering", customer, f"replay/story/C2/{order.pk}", cancellation.fingerprint)
    monkeypatch.setattr(asking, "leave_databases", held.give_up)  # while it waits to ask again
    # when
    summary = replayed(path)
    # then it was asked for again, and nothing else was kept as the cancellation's answer
    assert summary["retried"] == {"idempotency_in_progress": 1}
    assert (summary["given_back"], summary["refused"]) == ({"GBP": 1275}, {})
    assert replayed(path)["given_back"] == {"GBP": 1275}


@pytest.mark.once
def test_a_cancellation_that_the_shop_refuses_is_counted(file, monkeypatch):
    def refuse(**_):
        raise ConflictError

    path = file(f"1,order,17850,{CAKESTAND},2", f"C2,cancellation,17850,{CAKESTAND},1")
    monkeypatch.setattr(services, "orders_of_customer", refuse)
    assert replayed(path)["refused"] == {"conflict": 1}


def test_an_outage_while_it_drains_is_waited_for(file, monkeypatch):
    # given a database that hangs up when it is asked what is left
    real, breaks = draining.waiting_events, ["once"]

    def hang_up_once(moment):
        if breaks:
            breaks.clear()
            if connections["ordering_0"].vendor == "postgresql":
                with connections["ordering_0"].cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            raise OperationalError("database is locked")
        return real(moment)

    monkeypatch.setattr(draining, "waiting_events", hang_up_once)
    # when
    summary = replayed(file(f"1,order,17850,{CAKESTAND},2"))
    # then
    assert (breaks, summary["left"]) == ([], {"events": 0, "for_providers": 0, "dead_events": 0})


@pytest.mark.once
def test_an_outage_that_does_not_end_while_it_drains_is_told(file, monkeypatch):
    def lock(moment):
        raise OperationalError("database is locked")

    monkeypatch.setattr(draining, "waiting_events", lock)
    monkeypatch.setattr(draining, "PATIENCE_SECONDS", 0.5)
    with pytest.raises(OperationalError):
        replayed(file(f"1,order,17850,{CAKESTAND},2"))


@pytest.mark.once
def test_a_busy_shop_is_asked_again(file, monkeypatch):
    real, busy = services.place_order, [OperationalError("database is locked"), ProviderAway(), None]

    def busy_at_first(*args, **kwargs):
        if error := busy.pop(0):
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(services, "place_order", busy_at_first)
    summary = replayed(file(f"1,order,17850,{CAKESTAND},2"))
    assert summary["retried"] == {"database_busy": 1, "provider_away": 1}
    assert orders() == 1


@pytest.mark.once
def test_a_shop_that_stays_busy_stops_the_run(file, monkeypatch):
    def busy(*args, **kwargs):
        raise OperationalError("database is locked")

    monkeypatch.setattr(services, "place_order", busy)
    monkeypatch.setattr(asking, "TRIES", 3)
    with pytest.raises(StoppedError, match="invoice 1: the shop is too busy, or a database is away"):
        replayed(file(f"1,order,17850,{CAKESTAND},2"))


@pytest.mark.once
def test_what_the_shop_refuses_is_counted_by_its_code_and_the_rest_goes_on(file):
    [variant] = Variant.objects.filter(sku=HEART).across().rows()
    archive(variant.pk)
    summary = replayed(
        file(f"1,order,17850,{HEART},1", f"2,order,17850,{CAKESTAND},1", f"C3,cancellation,17850,{HEART},1")
    )
    assert summary["refused"] == {"not_for_sale": 1}
    assert summary["orders"] | {"placed": 1, "paid": 1} == summary["orders"]
    assert summary["cancellations"]["unmatched_lines"] == 1
    # and the same of a run that comes back
    again = replayed(
        file(f"1,order,17850,{HEART},1", f"2,order,17850,{CAKESTAND},1", f"C3,cancellation,17850,{HEART},1")
    )
    assert again["refused"] == {"not_for_sale": 1}


@pytest.mark.once
def test_what_the_catalog_does_not_know_is_left_out(file):
    summary = replayed(
        file(
            f"1,order,17850,{CAKESTAND},1",
            "1,order,17850,NOPE,1",
            "2,order,13047,NOPE,9",
            "C3,cancellation,17850,NOPE,1",
        )
    )
    assert summary["file"]["unknown_skus"] == 1
    assert summary["orders"] | {"placed": 1, "skipped": 1, "lines": 1, "unknown_lines": 2} == summary["orders"]
    assert summary["cancellations"] | {"lines": 1, "unmatched_lines": 1} == summary["cancellations"]
    assert [row.email for row in Customer.objects.across().rows()] == ["17850@replay.invalid"]


@pytest.mark.once
def test_a_refund_whose_provider_is_away_is_left_over(file, monkeypatch):
    def away(*args, **kwargs):
        raise ProviderAway

    monkeypatch.setattr(providers.provider_named("fake"), "refund", away)
    monkeypatch.setattr(draining, "PATIENCE_SECONDS", 0.5)
    summary = replayed(file(f"1,order,17850,{CAKESTAND},2", f"C2,cancellation,17850,{CAKESTAND},1"))
    assert summary["left"] == {"events": 0, "for_providers": 1, "dead_events": 0}


@pytest.mark.once
def test_a_process_that_relays_nothing_replays_nothing(file, settings):
    settings.RELAY_PAUSED = True
    before = rows_everywhere()
    with pytest.raises(RelayPausedError):
        replayed(file(f"1,order,17850,{CAKESTAND},1"))
    assert rows_everywhere() == before


@pytest.mark.django_db(databases=ALIASES)
def test_a_dry_run_counts_and_only_reads(file):
    path = file(f"1,order,17850,{CAKESTAND},2", "1,order,17850,NOPE,1", f"C2,cancellation,17850,{CAKESTAND},1")
    captured = [CaptureQueriesContext(connections[alias]) for alias in ALIASES]
    before = rows_everywhere()
    # when
    for each in captured:
        each.__enter__()
    summary = replayed(path, dry_run=True)
    for each in captured:
        each.__exit__(None, None, None)
    # then
    statements = [query["sql"].split()[0] for each in captured for query in each]
    assert set(statements) == {"SELECT"}
    assert rows_everywhere() == before
    counted = {
        "baskets": 2,
        "orders": 1,
        "cancellations": 1,
        "customers": 1,
        "lines": 2,
        "pieces": 3,
        "unknown_skus": 1,
    }
    assert summary["dry_run"]
    assert summary["file"] | counted == summary["file"]
