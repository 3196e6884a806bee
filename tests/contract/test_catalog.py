"""`CatalogService` keeps its promises whichever way a call travels, every command sent twice included."""

from datetime import UTC, datetime, timedelta

import pytest

from contexts.catalog.contract import (
    CatalogService,
    NotForSaleError,
    OutOfStockError,
    Refusal,
    ReservationCancelledError,
    ReservationState,
    ReservedLine,
    StockRequest,
    StockState,
    StockWouldBeNegativeError,
    VariantNotFoundError,
)
from contexts.catalog.domain import ProductStatus
from contexts.catalog.services.reservations import expire_due
from contexts.catalog.tests.factories import assert_the_books_balance, variant_on
from shop.contract import CommandKeyReusedError, Money, NotAuthorized
from shop.services import acting_as, resolve
from shop.services.pipeline import BatchTooLarge
from shop.sharding import aliases_of, new_id
from tests.contract.transports import WAYS, Twice, travelling

pytestmark = pytest.mark.django_db(databases=aliases_of("catalog"))


@pytest.fixture(params=WAYS, autouse=True)
def way(request, settings):
    with travelling(request.param, settings):
        yield request.param
    assert_the_books_balance()


class AsOrdering:
    """The service as ordering calls it: only the call itself is ordering's doing, not the rest of a story."""

    def __getattr__(self, name):
        def called(**arguments):
            with acting_as("ordering"):
                return getattr(resolve(CatalogService), name)(**arguments)

        return called


@pytest.fixture
def cups():
    return str(variant_on(0, stock=10, price=450)), str(variant_on(1, stock=10))


@pytest.fixture
def order():
    return str(new_id("catalog"))


@pytest.fixture
def catalog():
    return AsOrdering()


def lines(*variants, quantity=2):
    return [StockRequest(variant_id=each, quantity=quantity) for each in variants]


def later():
    return datetime.now(UTC) + timedelta(minutes=10)


def free(catalog, *variants):
    return [offer.available for offer in catalog.offers(variant_ids=variants)]


def test_offers_come_in_the_order_asked(catalog, cups):
    first, second = cups
    offers = catalog.offers(variant_ids=[second, first, second])
    assert [offer.variant_id for offer in offers] == [second, first, second]
    assert (offers[1].price, offers[1].available, offers[1].for_sale) == (
        Money(amount=450, currency="GBP"),
        10,
        True,
    )


def test_an_offer_of_a_draft_says_that_it_is_not_for_sale(catalog):
    draft = str(variant_on(0, status=ProductStatus.DRAFT))
    assert [offer.for_sale for offer in catalog.offers(variant_ids=[draft])] == [False]


def test_unknown_variants_are_named(catalog, cups):
    unknown = str(new_id("catalog"))
    with pytest.raises(VariantNotFoundError) as refused:
        catalog.offers(variant_ids=[cups[0], unknown])
    assert refused.value.lines == (Refusal(variant_id=unknown),)


def test_reserve_holds_and_answers_with_the_offers(catalog, cups, order):
    offers = catalog.reserve(order_id=order, lines=lines(*cups[::-1]), expires_at=later())
    assert [offer.variant_id for offer in offers] == list(cups[::-1])
    assert free(catalog, *cups) == [8, 8]


def test_reserve_names_every_short_line(catalog, cups, order):
    with pytest.raises(OutOfStockError) as refused:
        catalog.reserve(order_id=order, lines=lines(*cups, quantity=11), expires_at=later())
    assert refused.value.lines == tuple(Refusal(variant_id=cup, available=10) for cup in cups)
    assert free(catalog, *cups) == [10, 10]


def test_reserve_refuses_what_is_not_for_sale(catalog, cups, order):
    draft = str(variant_on(1, status=ProductStatus.DRAFT))
    with pytest.raises(NotForSaleError) as refused:
        catalog.reserve(order_id=order, lines=lines(cups[0], draft), expires_at=later())
    assert refused.value.lines == (Refusal(variant_id=draft),)
    assert free(catalog, cups[0]) == [10]


def test_reserve_refuses_what_does_not_exist(catalog, cups, order):
    unknown = str(new_id("catalog"))
    with pytest.raises(VariantNotFoundError):
        catalog.reserve(order_id=order, lines=lines(cups[0], unknown), expires_at=later())
    assert free(catalog, cups[0]) == [10]


def test_commit_sells_once(catalog, cups, order):
    catalog.reserve(order_id=order, lines=lines(*cups), expires_at=later())
    catalog.commit(order_id=order, variant_ids=cups)
    assert free(catalog, *cups) == [8, 8]


def test_commit_of_what_is_gone_is_out_of_stock(catalog, cups, order):
    with pytest.raises(OutOfStockError) as refused:
        catalog.commit(order_id=order, variant_ids=cups[:1])
    assert refused.value.lines == (Refusal(variant_id=cups[0], available=10),)


def test_cancel_gives_back_what_was_held_or_sold(catalog, cups, order):
    catalog.reserve(order_id=order, lines=lines(*cups), expires_at=later())
    catalog.commit(order_id=order, variant_ids=cups[:1])
    catalog.cancel(order_id=order, variant_ids=cups)
    assert free(catalog, *cups) == [10, 10]


def test_cancel_is_final(catalog, cups, order):
    catalog.cancel(order_id=order, variant_ids=cups)
    with pytest.raises(ReservationCancelledError):
        catalog.reserve(order_id=order, lines=lines(*cups), expires_at=later())
    with pytest.raises(ReservationCancelledError):
        catalog.commit(order_id=order, variant_ids=cups)


def said(catalog, *orders):
    """Quantity and state by variant, for each order."""
    return [
        {line.variant_id: (line.quantity, line.state.value) for line in lines}
        for lines in catalog.reservations(order_ids=orders)
    ]


def test_reservations_come_in_the_order_asked_with_what_became_of_them(catalog, cups, order):
    other, stranger = str(new_id("catalog")), str(new_id("catalog"))
    catalog.reserve(order_id=order, lines=lines(*cups), expires_at=later())
    catalog.reserve(order_id=other, lines=lines(cups[1], quantity=3), expires_at=later())
    assert said(catalog, other, stranger, order) == [
        {cups[1]: (3, "held")},
        {},
        {cups[0]: (2, "held"), cups[1]: (2, "held")},
    ]


def test_reservations_tell_sold_from_held_and_what_was_given_back(catalog, cups, order):
    catalog.reserve(order_id=order, lines=lines(*cups), expires_at=later())
    catalog.commit(order_id=order, variant_ids=cups[:1])
    assert said(catalog, order) == [{cups[0]: (2, "sold"), cups[1]: (2, "held")}]
    catalog.cancel(order_id=order, variant_ids=cups)
    assert said(catalog, order) == [{cups[0]: (2, "released"), cups[1]: (2, "released")}]


def test_reservations_whose_time_is_over_are_expired_and_not_released(catalog, cups, order):
    catalog.reserve(order_id=order, lines=lines(cups[0]), expires_at=later() - timedelta(minutes=11))
    expire_due(datetime.now(UTC))
    [[line]] = catalog.reservations(order_ids=[order])
    assert line == ReservedLine(variant_id=cups[0], quantity=2, state=ReservationState.EXPIRED)


def test_what_was_given_back_before_it_came_was_of_no_pieces(catalog, cups, order):
    catalog.cancel(order_id=order, variant_ids=cups[:1])
    assert said(catalog, order) == [{cups[0]: (0, "released")}]


def test_more_orders_at_once_than_the_contract_allows_are_refused(catalog):
    with pytest.raises(BatchTooLarge):
        catalog.reservations(order_ids=["1"] * 201)


def test_orders_that_were_sold_something_come_page_by_page_each_once(catalog, cups):
    # given five orders of pieces on both shards: three bought them, one gave them back, one still holds them
    orders = sorted(str(new_id("catalog")) for _ in range(5))
    for each in orders:
        catalog.reserve(order_id=each, lines=lines(*cups, quantity=1), expires_at=later())
    for each in orders[:4]:
        catalog.commit(order_id=each, variant_ids=cups)
    catalog.cancel(order_id=orders[0], variant_ids=cups)
    # then they come in the order of their numbers, behind the last one seen
    first = catalog.orders_sold_to(after="0", limit=3)
    ascending = sorted(orders[:4], key=int)
    assert (list(first), list(catalog.orders_sold_to(after=first[-1], limit=3))) == (ascending[:3], ascending[3:])
    assert catalog.orders_sold_to(after=ascending[3], limit=3) == ()


def test_adjust_stock_adds_once_per_command(catalog, cups):
    cup, command = cups[0], str(new_id("catalog"))
    state = catalog.adjust_stock(variant_id=cup, delta=-4, reason="damaged", command_id=command)
    assert state == StockState(variant_id=cup, on_hand=6, reserved=0, available=6)


def test_adjust_stock_refuses_other_arguments_under_the_same_command(catalog, cups):
    cup, command = cups[0], str(new_id("catalog"))
    catalog.adjust_stock(variant_id=cup, delta=1, reason="found", command_id=command)
    with pytest.raises(CommandKeyReusedError):
        catalog.adjust_stock(variant_id=cup, delta=2, reason="found", command_id=command)
    assert free(catalog, cup) == [11]


def test_adjust_stock_refuses_to_take_more_than_is_free(catalog, cups, order):
    catalog.reserve(order_id=order, lines=lines(cups[1]), expires_at=later())
    with pytest.raises(StockWouldBeNegativeError):
        catalog.adjust_stock(variant_id=cups[1], delta=-9, reason="lost", command_id="1")
    with pytest.raises(VariantNotFoundError):
        catalog.adjust_stock(variant_id=str(new_id("catalog")), delta=1, reason="found", command_id="2")


@pytest.mark.parametrize("caller", ["auth", ""])
def test_a_caller_whom_the_contract_does_not_name_is_refused(cups, caller):
    with acting_as(caller), pytest.raises(NotAuthorized):
        resolve(CatalogService).offers(variant_ids=cups)


def test_the_transport_that_sends_twice_notices_a_command_that_minds():
    class Forgetful:
        """Refuses the first time only."""

        refused = False

        def send(self, call):
            if not self.refused:
                self.refused = True
                raise OutOfStockError

    sent = type("Sent", (), {"operation": CatalogService.operations["commit"]})()
    with pytest.raises(AssertionError):
        Twice(Forgetful()).send(sent)
