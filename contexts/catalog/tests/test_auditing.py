"""Invariants 1 to 5 of stock: a shelf of every kind of pieces is clean, and each fault planted on it is found."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from contexts.catalog.services.reservations import expire_due
from contexts.catalog.services.stock import adjust
from contexts.catalog.tests.factories import cancel, commit, new_order, reserve, variant_on
from shop.sharding import alias_of
from shop.sharding.public_ids import public_id
from tests.auditing import broken, checked, plant, without_constraints

CONTEXT = "catalog"
NAMES = ("1", "2", "3", "4", "5")


@dataclass
class Shelf:
    """A variant and an order that holds some of it."""

    variant: int
    holder: int

    @property
    def shown(self) -> str:
        return public_id("var", self.variant)


def shelf_on(shard):
    """20 pieces came: 3 are sold, 4 are sold and came back, 5 are held; 6 were given up in time, 7 too late."""
    variant = variant_on(shard, stock=17)
    adjust(variant_id=variant, delta=5, reason="received")
    adjust(variant_id=variant, delta=-2, reason="broken")
    sold, back, held, given_up, late = (new_order() for _ in range(5))
    reserve(sold, {variant: 3})
    commit(sold, variant)
    reserve(back, {variant: 4})
    commit(back, variant)
    cancel(back, variant)
    reserve(given_up, {variant: 6})
    cancel(given_up, variant)
    reserve(late, {variant: 7}, seconds=-1)
    expire_due(datetime.now(UTC))
    reserve(held, {variant: 5})
    return Shelf(variant=variant, holder=held)


@pytest.fixture
def shelves():
    """A shelf on each shard to plant faults on, and one beside each that stays as it is."""
    found = shelf_on(0), shelf_on(1)
    shelf_on(0), shelf_on(1)
    return found


def test_whatever_becomes_of_pieces_is_clean(shelves):
    assert {name: broken(name, CONTEXT) for name in NAMES} == {name: {} for name in NAMES}
    assert [checked(name, CONTEXT) for name in NAMES] == [4, 4, 4, 4, 4]


# (what was done to the shelf behind everybody's back, the invariants that it breaks)
PLANTED = [
    ("UPDATE shop_catalog_stocklevel SET on_hand = on_hand + 1 WHERE id = %s", {"1", "4"}),
    ("UPDATE shop_catalog_stocklevel SET reserved = reserved - 1 WHERE id = %s", {"2"}),
    (
        "UPDATE shop_catalog_stockmovement SET delta = delta + 1 WHERE variant_id = %s AND reason = 'received'",
        {"1", "4"},
    ),
    ("UPDATE shop_catalog_stockmovement SET delta = delta - 1 WHERE variant_id = %s AND reason = 'sold'", {"1"}),
    ("DELETE FROM shop_catalog_stockmovement WHERE variant_id = %s AND reason = 'returned'", {"1"}),
    ("DELETE FROM shop_catalog_reservationline WHERE variant_id = %s AND state = 'held'", {"2"}),
    ("UPDATE shop_catalog_reservationline SET quantity = 9 WHERE variant_id = %s AND state = 'held'", {"2"}),
    ("UPDATE shop_catalog_reservationline SET state = 'held' WHERE variant_id = %s AND state = 'expired'", {"2"}),
    ("UPDATE shop_catalog_reservationline SET quantity = 9 WHERE variant_id = %s AND state = 'committed'", {"4"}),
    ("UPDATE shop_catalog_reservationline SET state = 'committed' WHERE variant_id = %s AND state = 'returned'", {"4"}),
    ("DELETE FROM shop_catalog_reservationline WHERE variant_id = %s AND state = 'committed'", {"4"}),
    ("DELETE FROM shop_catalog_stocklevel WHERE id = %s", {"1"}),
]


@pytest.mark.parametrize(("statement", "names"), PLANTED, ids=[statement for statement, _ in PLANTED])
def test_pieces_that_do_not_add_up_are_found(shelves, statement, names):
    for shelf in shelves:
        plant(CONTEXT, shelf.variant, statement, shelf.variant)
    found = {name: sorted(broken(name, CONTEXT)) for name in NAMES}
    assert found == {name: sorted((each.shown,) for each in shelves) if name in names else [] for name in NAMES}


def test_pieces_sold_twice_are_found_though_shelf_and_ledger_agree(shelves):
    # given an order's three pieces that left the shelf a second time, with an entry in the ledger
    for shelf in shelves:
        adjust(variant_id=shelf.variant, delta=-3, reason="again")
        plant(CONTEXT, shelf.variant, "UPDATE shop_catalog_stockmovement SET reason = 'sold' WHERE cause = 'again'")
    # then only the orders' lines know better
    assert [sorted(broken(name, CONTEXT)) for name in NAMES if name != "4"] == [[], [], [], []]
    said = "14 on hand + 7 sold - 4 restocked, but 20 received and adjusted"
    assert broken("4", CONTEXT) == {(shelf.shown,): said for shelf in shelves}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("reserved = on_hand + 1", "17 on hand, 18 reserved"),
        ("reserved = -1", "17 on hand, -1 reserved"),
        ("on_hand = 4", "4 on hand, 5 reserved"),
    ],
)
def test_more_reserved_than_there_is_is_found(shelves, change, said):
    for shelf in shelves:
        alias = alias_of(CONTEXT, shelf.variant)
        names = ("catalog_reserved_on_hand", "catalog_reserved_not_negative")
        with without_constraints(alias, "shop_catalog_stocklevel", *names):
            statement = f"UPDATE shop_catalog_stocklevel SET {change} WHERE id = %s"  # noqa: S608  from the table above
            plant(CONTEXT, shelf.variant, statement, shelf.variant)
    assert broken("3", CONTEXT) == {(shelf.shown,): said for shelf in shelves}


@pytest.mark.parametrize(("seconds", "is_found"), [(119, False), (125, True)])
def test_what_is_held_two_minutes_past_its_time_is_found_with_its_order(shelves, seconds, is_found):
    for shelf in shelves:
        shelf.holder = new_order()
        reserve(shelf.holder, {shelf.variant: 1}, seconds=-seconds)
    found = broken("5", CONTEXT)
    assert sorted(found) == sorted((public_id("ord", shelf.holder), shelf.shown) for shelf in shelves if is_found)
    assert all(detail.startswith("still held; expired at 2") for detail in found.values())
