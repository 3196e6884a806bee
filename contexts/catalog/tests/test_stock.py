"""Stock over HTTP, and its adjustment through the service."""

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
    movements,
    new_order,
    reserve,
    stock,
    variant_on,
)
from shop.services import acting_as, resolve
from shop.sharding import new_id, shard_atomic
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
    assert (answer.status_code, answer.json()["code"]) == (404, "variant_not_found")


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
