"""Stock over HTTP, and its adjustment through the service."""

import json

import pytest
from django.db import IntegrityError

from contexts.catalog.contract import (
    CatalogService,
    StockState,
    StockWouldBeNegativeError,
    VariantNotFoundError,
)
from contexts.catalog.models import StockLevel, StockMovement
from contexts.catalog.services import stock as stock_room
from contexts.catalog.tests.factories import (
    assert_the_books_balance,
    at_once,
    commit,
    movements,
    new_order,
    reserve,
    stock,
    variant_on,
)
from shop.services import acting_as, resolve
from shop.sharding import aliases_of, new_id, shard_atomic
from shop.sharding.public_ids import public_id
from tests.plugin import bearer, make_principal


def url(variant):
    return f"/api/v1/catalog/variants/{public_id('var', variant)}/stock"


def adjust(variant, delta, *, reason="damaged", command="c1"):
    with acting_as("ordering"):
        return resolve(CatalogService).adjust_stock(
            variant_id=str(variant), delta=delta, reason=reason, command_id=command
        )


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize("role", ["read_only", "order_desk", "catalog_editor", "superuser"])
def test_any_staff_sees_what_is_there_held_and_free(client, shard, role):
    cup = variant_on(shard, stock=10)
    reserve(new_order(), {cup: 4})
    answer = client.get(url(cup), **bearer(make_principal("staff", role)))
    assert (answer.status_code, answer.json()) == (200, {"on_hand": 10, "reserved": 4, "available": 6})


@pytest.mark.parametrize(
    ("who", "status"),
    [(None, 401), (make_principal("customer"), 403), (make_principal("staff"), 403)],
    ids=["nobody", "customer", "no role"],
)
def test_nobody_else_does(client, who, status):
    headers = bearer(who) if who else {}
    assert client.get(url(variant_on(0)), **headers).status_code == status


@pytest.mark.parametrize("text", ["var_damaged", "prd_00000000000000"])
def test_what_is_no_variants_id_is_not_found(client, text):
    staff = bearer(make_principal("staff", "read_only"))
    assert client.get(f"/api/v1/catalog/variants/{text}/stock", **staff).status_code == 404


def test_an_unknown_variant_is_not_found(client):
    answer = client.get(url(new_id("catalog")), **bearer(make_principal("staff", "read_only")))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_adjustment_is_written_down_with_its_reason():
    cup = variant_on(0, stock=10)
    assert adjust(cup, -3) == StockState(variant_id=str(cup), on_hand=7, reserved=0, available=7)
    assert movements(cup) == [("received", 10, 10), ("adjusted", -3, 7)]
    assert StockMovement.objects.filter(variant_id=cup).latest("pk").cause == "damaged"
    assert_the_books_balance()


def test_a_delivery_counts_as_received():
    cup = variant_on(1, stock=0)
    adjust(cup, 5, reason="received")
    assert movements(cup) == [("received", 5, 5)]


def test_the_same_command_adjusts_once():
    cup = variant_on(0, stock=10)
    assert adjust(cup, -3) == adjust(cup, -3)
    assert stock(cup) == (7, 0)


def test_held_pieces_can_not_be_taken_away():
    cup = variant_on(0, stock=10)
    reserve(new_order(), {cup: 8})
    with pytest.raises(StockWouldBeNegativeError):
        adjust(cup, -3)
    assert stock(cup) == (10, 8)


def test_an_unknown_variant_can_not_be_adjusted():
    with pytest.raises(VariantNotFoundError):
        adjust(new_id("catalog"), 1)


def test_a_change_that_the_level_does_not_bear_is_a_bug_and_changes_nothing():
    cup = variant_on(0, stock=2)
    with pytest.raises(RuntimeError), shard_atomic("catalog", cup):
        stock_room.change_levels(stock_room.locked_levels([cup]), {cup: stock_room.Change(reserved=3)})
    assert stock(cup) == (2, 0)


@pytest.mark.parametrize("fields", [{"on_hand": -1}, {"reserved": -1}, {"on_hand": 1, "reserved": 2}])
def test_the_database_refuses_impossible_levels(fields):
    cup = variant_on(0, stock=2)
    with pytest.raises(IntegrityError), shard_atomic("catalog", cup):
        StockLevel.objects.filter(pk=cup).update(**fields)


# ---- adjustments over HTTP -----------------------------------------------------------------------------------


@pytest.fixture
def editor():
    return bearer(make_principal("staff", "catalog_editor"))


@pytest.fixture
def send(client, editor):
    keys = iter(range(10_000))

    def post(variant, body, **headers):
        given = {**editor, "HTTP_IDEMPOTENCY_KEY": f"key-{next(keys)}", **headers}
        return client.post(f"{url(variant)}/adjustments", json.dumps(body), content_type="application/json", **given)

    return post


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


@pytest.mark.parametrize("shard", [0, 1])
def test_an_editor_adds_pieces_and_takes_some_away(send, shard):
    cup = variant_on(shard, stock=10)
    answer = send(cup, {"delta": 5, "reason": "received"})
    made = answer.json()
    assert answer.status_code == 201
    assert set(made) == {"id", "type", "delta", "reason", "on_hand", "created_at"}
    assert (made["type"], made["delta"], made["reason"], made["on_hand"]) == ("received", 5, "received", 15)
    assert send(cup, {"delta": -4, "reason": "broken"}).json()["on_hand"] == 11
    assert stock(cup) == (11, 0)
    assert_the_books_balance()


@pytest.mark.parametrize("shard", [0, 1])
def test_held_pieces_stay_whatever_an_editor_asks(send, shard):
    cup = variant_on(shard, stock=10)
    reserve(new_order(), {cup: 8})
    answer = send(cup, {"delta": -3, "reason": "broken"})
    assert (answer.status_code, answer.json()["code"]) == (409, "stock_would_be_negative")
    assert stock(cup) == (10, 8)
    assert send(cup, {"delta": -2, "reason": "broken"}).status_code == 201


@pytest.mark.parametrize("shard", [0, 1])
def test_the_same_key_adjusts_once_and_gets_the_same_bytes(send, shard):
    cup = variant_on(shard, stock=10)
    first = send(cup, {"delta": 5, "reason": "found"}, HTTP_IDEMPOTENCY_KEY="k")
    again = send(cup, {"delta": 5, "reason": "found"}, HTTP_IDEMPOTENCY_KEY="k")
    assert (again.status_code, again.content, again["Idempotent-Replay"]) == (201, first.content, "true")
    assert stock(cup) == (15, 0)


@pytest.mark.parametrize("shard", [0, 1])
def test_a_repetition_that_lost_its_answer_finds_its_own_entry(shard):
    cup = variant_on(shard, stock=10)
    claimed = new_id("catalog", near=cup)
    first = stock_room.adjust(variant_id=cup, delta=5, reason="found", movement_id=claimed)
    assert stock_room.adjust(variant_id=cup, delta=5, reason="found", movement_id=claimed) == first
    assert stock(cup) == (15, 0)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"reason": "found"}, ("delta", "required")),
        ({"delta": 1}, ("reason", "required")),
        ({"delta": 0, "reason": "found"}, ("delta", "zero")),
        ({"delta": 1.5, "reason": "found"}, ("delta", "invalid")),
        ({"delta": 10**9 + 1, "reason": "found"}, ("delta", "max_value")),
        ({"delta": -(10**9) - 1, "reason": "found"}, ("delta", "min_value")),
        ({"delta": 1, "reason": " "}, ("reason", "blank")),
        ({"delta": 1, "reason": "x" * 201}, ("reason", "max_length")),
        ({"delta": 1, "reason": "found", "cause": "x"}, ("cause", "unknown_field")),
    ],
)
def test_an_adjustment_at_fault_is_named_and_nothing_changes(send, body, fault):
    cup = variant_on(0, stock=10)
    answer = send(cup, body)
    assert (answer.status_code, faults(answer)) == (422, [fault])
    assert stock(cup) == (10, 0)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (dict, 401, "not_authenticated"),
        (lambda: bearer(make_principal("customer")), 403, "forbidden"),
        (lambda: bearer(make_principal("staff", "order_desk")), 403, "forbidden"),
        (lambda: bearer(make_principal("staff", "catalog_editor")), 400, "idempotency_key_required"),
    ],
    ids=["nobody", "customer", "order desk", "no key"],
)
def test_only_editors_with_a_key_adjust(client, headers, status, code):
    there = f"{url(new_id('catalog'))}/adjustments"
    answer = client.post(there, "{}", content_type="application/json", **headers())
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_is_not_there_can_not_be_adjusted(send, client, editor):
    answer = send(new_id("catalog"), {"delta": 1, "reason": "found"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    damaged = "/api/v1/catalog/variants/var_damaged/stock/adjustments"
    body = json.dumps({"delta": 1, "reason": "found"})
    answer = client.post(damaged, body, content_type="application/json", HTTP_IDEMPOTENCY_KEY="k", **editor)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)
def test_many_who_take_at_once_never_take_more_than_there_is():
    cup = variant_on(1, stock=5)

    def take(number):
        try:
            stock_room.adjust(variant_id=cup, delta=-1, reason=f"broken {number}")
        except StockWouldBeNegativeError:
            return 0
        return 1

    assert sum(at_once(8, take)) == 5
    assert stock(cup) == (0, 0)
    assert_the_books_balance()


# ---- the ledger ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", [0, 1])
def test_the_ledger_is_newest_first_and_pages_through_everything_once(client, send, shard):
    cup = variant_on(shard, stock=10)
    order = new_order()
    reserve(order, {cup: 2})
    commit(order, cup)
    adjusted = [send(cup, {"delta": 1, "reason": f"found {n}"}).json() for n in range(3)]
    staff = bearer(make_principal("staff", "read_only"))
    seen, following = [], ""
    while following is not None:
        page = client.get(f"{url(cup)}/movements?limit=2{following}", **staff).json()
        seen += page["data"]
        following = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen[:3] == adjusted[::-1]
    assert [(each["type"], each["delta"], each["on_hand"]) for each in seen[3:]] == [
        ("sold", -2, 8),
        ("received", 10, 10),
    ]
    # and an order is named as the API names it
    assert seen[3]["reason"] == f"order {public_id('ord', order)}"


def test_a_page_of_the_ledger_is_not_moved_by_what_comes_meanwhile(client, send):
    cup = variant_on(0, stock=10)
    send(cup, {"delta": 1, "reason": "found"})
    staff = bearer(make_principal("staff", "read_only"))
    following = client.get(f"{url(cup)}/movements?limit=1", **staff).json()["next_cursor"]
    send(cup, {"delta": 1, "reason": "found again"})
    page = client.get(f"{url(cup)}/movements?limit=1&cursor={following}", **staff).json()
    assert ([each["delta"] for each in page["data"]], page["next_cursor"]) == ([10], None)


def test_a_cursor_of_one_ledger_is_refused_in_anothers(client, send):
    cup, mug = variant_on(0, stock=10), variant_on(0, stock=10)
    send(cup, {"delta": 1, "reason": "found"})
    staff = bearer(make_principal("staff", "read_only"))
    following = client.get(f"{url(cup)}/movements?limit=1", **staff).json()["next_cursor"]
    answer = client.get(f"{url(mug)}/movements?cursor={following}", **staff)
    assert (answer.status_code, faults(answer)) == (422, [("cursor", "invalid_cursor")])


def test_the_ledger_is_for_staff_and_of_variants_that_exist(client):
    cup = variant_on(0)
    assert client.get(f"{url(cup)}/movements").status_code == 401
    assert client.get(f"{url(cup)}/movements", **bearer(make_principal("customer"))).status_code == 403
    staff = bearer(make_principal("staff", "read_only"))
    answer = client.get(f"{url(new_id('catalog'))}/movements", **staff)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
