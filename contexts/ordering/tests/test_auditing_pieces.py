"""Invariants 5 and 9: what the catalog says of an order's pieces is what the order says. The catalog is a fake here."""

from collections import Counter

import pytest

from contexts.catalog.contract import ReservationState, ReservedLine
from contexts.ordering.services.auditing import pieces
from contexts.ordering.tests.books import number, overdue
from contexts.ordering.tests.conftest import SPOON, TEAPOT
from contexts.ordering.tests.kinds import Kinds
from shop.contract import ServiceUnavailable
from shop.invariants.registry import declared
from shop.invariants.runner import Runner
from shop.sharding import alias_of, new_id
from shop.sharding.public_ids import number_of, public_id
from tests.auditing import broken

CONTEXT = "ordering"
CUP = TEAPOT + 1
SHOWN = {variant: public_id("var", variant) for variant in (TEAPOT, SPOON, CUP)}


@pytest.fixture
def kinds(catalog, books):
    books.stay_open("compared where money is")
    return Kinds(catalog)


def key(order):
    """What the catalog knows the order by."""
    return str(number_of("ord", order["id"]))


def found():
    return {name: broken(name, CONTEXT) for name in ("5", "9")}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({TEAPOT: 2}, {SPOON: "1 ordered, 0 reserved"}),
        ({TEAPOT: 1, SPOON: 1}, {TEAPOT: "2 ordered, 1 reserved"}),
        ({TEAPOT: 2, SPOON: 1, CUP: 4}, {CUP: "0 ordered, 4 reserved"}),
        ({}, {TEAPOT: "2 ordered, 0 reserved", SPOON: "1 ordered, 0 reserved"}),
    ],
)
@pytest.mark.parametrize("drawer", ["held", "sold", "released"])
def test_another_reservation_than_the_orders_lines_is_found(kinds, catalog, drawer, lines, said):
    # given an order on each shard of which the catalog has noted something else, and others as they should be
    how = {"held": ("", ""), "sold": ("tok_ok", ""), "released": ("tok_ok", "cancel")}[drawer]
    orders = kinds.orders(*how)
    kinds.orders(*how)
    for order in orders:
        getattr(catalog, drawer)[key(order)] = {str(variant): quantity for variant, quantity in lines.items()}
    # then they are found, each with the variants in question
    detail = "; ".join(said.values())
    assert found()["5"] == {(order["id"], *(SHOWN[variant] for variant in said)): detail for order in orders}


def test_a_window_that_has_filled_up_is_asked_about_in_parts(kinds, catalog, monkeypatch):
    # given more orders in a window than the catalog is asked about at once
    orders = [each for _ in range(3) for each in kinds.orders("tok_ok")]
    monkeypatch.setattr(pieces, "WINDOW", 2)
    real, asked = catalog.reservations, []
    monkeypatch.setattr(
        catalog, "reservations", lambda *, order_ids: asked.append(order_ids) or real(order_ids=order_ids)
    )
    catalog.sold[key(orders[-1])] = {}
    # then none of them is passed over
    assert list(found()["5"]) == [(orders[-1]["id"], SHOWN[TEAPOT], SHOWN[SPOON])]
    on_shards = Counter(alias_of(CONTEXT, number(each)) for each in orders).values()
    assert {len(ids) for ids in asked} == {2} | {count % 2 for count in on_shards} - {0}


@pytest.mark.parametrize(
    ("how", "now", "said"),
    [
        (("tok_ok", ""), "held", "placed, but held"),
        (("tok_ok", ""), "released", "placed, but released"),
        (("tok_ok", "ship arrive complete"), "held", "completed, but held"),
        (("tok_ok", "cancel"), "sold", "cancelled, but sold"),
        (("", "cancel"), "held", "cancelled, but held"),
        (("", "expire"), "held", "expired, but held"),
    ],
)
def test_pieces_with_another_fate_than_their_order_are_found(kinds, catalog, how, now, said):
    orders = kinds.orders(*how)
    kinds.orders(*how)
    for order in orders:
        lines = [drawer.pop(key(order), {}) for drawer in (catalog.held, catalog.sold, catalog.released)]
        getattr(catalog, now)[key(order)] = {variant: n for drawer in lines for variant, n in drawer.items()}
    wrong = {(order["id"], SHOWN[TEAPOT], SHOWN[SPOON]): said for order in orders}
    assert found() == {"5": {}, "9": wrong}


def test_one_line_of_many_that_was_forgotten_is_named(kinds, catalog):
    orders = kinds.orders("tok_ok")
    for order in orders:
        catalog.held[key(order)] = {str(SPOON): catalog.sold[key(order)].pop(str(SPOON))}
    assert found() == {"5": {}, "9": {(order["id"], SHOWN[SPOON]): "placed, but held" for order in orders}}


def test_an_expired_hold_is_not_given_back_for_good(kinds, catalog, monkeypatch):
    # given dead orders whose holds were let go of by the clock only: a late request could take the pieces again
    orders = kinds.orders("", "cancel")
    said = {key(order) for order in orders}
    lapsed = (ReservedLine(variant_id=str(SPOON), quantity=1, state=ReservationState.EXPIRED),)
    as_it_is = catalog._reserved

    def reserved(order_id):
        return [*(line for line in as_it_is(order_id) if line.variant_id != str(SPOON)), *lapsed]

    monkeypatch.setattr(catalog, "_reserved", lambda order: reserved(order) if order in said else as_it_is(order))
    assert found()["9"] == {(order["id"], SHOWN[SPOON]): "cancelled, but expired" for order in orders}


def test_an_order_that_waits_for_its_payment_holds_its_pieces_until_its_time_is_over(kinds, catalog):
    orders = kinds.orders()
    for order in orders:
        catalog.released[key(order)] = catalog.held.pop(key(order))
    said = "pending_payment, but released"
    assert found()["5"] == {(order["id"], SHOWN[TEAPOT], SHOWN[SPOON]): said for order in orders}
    for order in orders:
        overdue(order)
    assert found()["5"] == {}


def test_pieces_sold_to_orders_that_do_not_exist_are_found_and_those_held_are_left_to_expire(kinds, catalog):
    kinds.orders("tok_ok")
    unknown = [new_id(CONTEXT, bucket=bucket) for bucket in (7, 4000)]
    for order_id in unknown:
        catalog.sold[str(order_id)] = {str(SPOON): 1}
        catalog.held[str(new_id(CONTEXT, near=order_id))] = {str(SPOON): 1}
    assert sorted(found()["5"]) == sorted((public_id("ord", order_id),) for order_id in unknown)


def test_more_buyers_than_a_page_holds_are_all_looked_at(kinds, catalog, monkeypatch):
    monkeypatch.setattr(pieces, "PAGE", 3)
    unknown = [str(new_id(CONTEXT)) for _ in range(7)]
    catalog.sold |= {order_id: {str(SPOON): 1} for order_id in unknown}
    assert len(found()["5"]) == 7


def test_a_catalog_that_is_away_is_said(kinds, catalog):
    places = {alias_of(CONTEXT, number(order)) for order in kinds.orders("tok_ok")}
    catalog.broken = ServiceUnavailable(detail="catalog is on holiday")
    for name in ("5", "9"):
        wanted = [each for each in declared() if (each.name, each.context) == (name, CONTEXT)]
        runner = Runner(away={}, told=lambda *_: None, sleep=lambda _: None)
        [verdict] = runner.run(wanted, settle_seconds=0, wait_seconds=0)
        assert {each.reason for each in verdict.unasked} == {"catalog is on holiday"}
        assert places <= {each.place for each in verdict.unasked}
