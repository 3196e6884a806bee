"""Every transition of a reservation with its repetition, and with a crash between two shards. See commerce's table."""

from datetime import UTC, datetime

import pytest
from django.db import connections

from contexts.catalog.contract import (
    CatalogService,
    NotForSaleError,
    OutOfStockError,
    Refusal,
    ReservationCancelledError,
    StockDepleted,
    StockRequest,
    VariantNotFoundError,
)
from contexts.catalog.domain import ProductStatus
from contexts.catalog.models import ReservationLine, Variant
from contexts.catalog.services import offering, reservations
from contexts.catalog.tests.factories import (
    archive,
    assert_the_books_balance,
    cancel,
    commit,
    movements,
    new_order,
    reserve,
    soon,
    state,
    stock,
    variant_on,
)
from shop.contract import RemoteFault
from shop.events.models import OutboxEvent
from shop.services import acting_as, resolve
from shop.sharding import alias_of, aliases_of, new_id
from shop.sharding.generator import generator_of
from tests.shards import ANOTHER_SHARD, SHARDS


@pytest.fixture(autouse=True)
def balanced():
    """Whatever a story tells: at its end the books balance."""
    yield
    assert_the_books_balance()


@pytest.fixture(params=["at once", "step by step"], autouse=True)
def way(request, monkeypatch):
    """One statement per shard, and the longer way that tells what was wrong: every story is the same on both."""
    if request.param == "step by step":
        monkeypatch.setattr(reservations, "_hold_all_at_once", lambda *asked: [])
    return request.param


@pytest.fixture
def cups():
    """Ten pieces each of a variant on the first and one on the second shard."""
    return variant_on(0), variant_on(1)


@pytest.fixture
def expired(cups):
    """An order whose hold on three of each has run out."""
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3), seconds=-1)
    assert reservations.expire_due(datetime.now(UTC)) == 2
    return order


def expiry(order, variant):
    return ReservationLine.objects.get(variant_id=variant, order_id=order).expires_at


def events(kind):
    """Payloads in all outboxes."""
    rows = [OutboxEvent.objects.using(alias).filter(topic=kind.topic()) for alias in aliases_of("catalog")]
    return [row.payload for found in rows for row in found]


# ---- reserve -------------------------------------------------------------------------------------------------


def test_reserve_holds_pieces_on_both_shards_and_answers_with_the_offers_in_order(cups):
    order, (first, second) = new_order(), cups
    # when two of one and three of the other are reserved, the later shard's named first
    assert reserve(order, {second: 3, first: 2}) == [second, first]
    # then they are on hand still, and nobody else's
    assert (stock(first), stock(second)) == ((10, 2), (10, 3))
    assert (state(order, first), state(order, second)) == ("held", "held")


def test_variants_are_found_by_their_skus_in_whatever_case_on_all_shards(cups, monkeypatch):
    monkeypatch.setattr(offering, "SKUS_PER_READ", 2)
    skus = {row.sku: row.pk for row in Variant.objects.filter(pk__in=cups).across().rows()}
    found = offering.variants_with_skus([*map(str.lower, skus), *skus, "nobody's"])
    assert found == {sku.lower(): each for sku, each in skus.items()}
    assert set(found.values()) == set(cups)


def test_reserve_answers_with_price_and_name_at_that_moment():
    cup = variant_on(0, price=450)
    line = StockRequest(variant_id=str(cup), quantity=1)
    with acting_as("ordering"):
        [offer] = resolve(CatalogService).reserve(order_id=str(new_order()), lines=[line], expires_at=soon())
    assert (offer.price.amount, offer.price.currency, offer.for_sale) == (450, "GBP", True)
    assert offer.name.startswith("Mug ")


def test_reserving_again_takes_nothing_more(cups):
    order = new_order()
    for _ in range(3):
        reserve(order, dict.fromkeys(cups, 4))
    assert [stock(cup) for cup in cups] == [(10, 4), (10, 4)]


def test_reserving_again_moves_the_expiry_out_and_never_in(cups):
    order, (cup, _) = new_order(), cups
    reserve(order, {cup: 1}, seconds=600)
    first = expiry(order, cup)
    reserve(order, {cup: 1}, seconds=60)
    assert expiry(order, cup) == first
    reserve(order, {cup: 1}, seconds=6_000)
    assert expiry(order, cup) > first


def test_a_variant_named_twice_is_held_once_with_both_quantities(cups):
    order, (cup, _) = new_order(), cups
    lines = [StockRequest(variant_id=str(cup), quantity=each) for each in (2, 3)]
    with acting_as("ordering"):
        offers = resolve(CatalogService).reserve(order_id=str(order), lines=lines, expires_at=soon())
    assert [offer.variant_id for offer in offers] == [str(cup), str(cup)]
    assert stock(cup) == (10, 5)


def test_a_refusal_names_every_short_line_of_all_shards_and_holds_nothing(cups):
    order, (first, second), plenty = new_order(), cups, variant_on(0)
    # when three lines are asked for of which two, on different shards, are short
    with pytest.raises(OutOfStockError) as refused:
        reserve(order, {second: 12, plenty: 1, first: 11})
    # then both are named, in the order asked, with what is left
    assert refused.value.lines == (
        Refusal(variant_id=str(second), available=10),
        Refusal(variant_id=str(first), available=10),
    )
    assert [stock(each) for each in (first, second, plenty)] == [(10, 0)] * 3


@ANOTHER_SHARD
def test_a_refusal_on_the_second_shard_lets_go_of_the_first(cups):
    order, (first, second) = new_order(), cups
    with pytest.raises(OutOfStockError):
        reserve(order, {first: 5, second: 11})
    assert (stock(first), state(order, first)) == ((10, 0), "expired")
    assert (stock(second), state(order, second)) == ((10, 0), None)


def test_a_refused_order_may_try_again_when_there_is_more(cups):
    order, (first, second) = new_order(), cups
    other = new_order()
    reserve(other, {second: 8})
    with pytest.raises(OutOfStockError):
        reserve(order, {first: 5, second: 5})
    # when the other order gives its pieces back
    cancel(other, second)
    # then the same order gets its own
    reserve(order, {first: 5, second: 5})
    assert (stock(first), stock(second)) == ((10, 5), (10, 5))


@ANOTHER_SHARD
def test_a_crash_between_the_shards_is_mended_by_the_repetition(cups, way, monkeypatch):
    order, (first, second) = new_order(), cups
    crash_on(second, step_of(way), monkeypatch)
    # given a reserve that broke off after the first shard
    with pytest.raises(RemoteFault):
        reserve(order, {first: 2, second: 2})
    assert (stock(first), stock(second)) == ((10, 2), (10, 0))
    monkeypatch.undo()
    # when it is repeated, then the rest is held and nothing twice
    reserve(order, {first: 2, second: 2})
    assert (stock(first), stock(second)) == ((10, 2), (10, 2))


@ANOTHER_SHARD
def test_a_crash_between_the_shards_is_healed_by_expiry_when_nobody_repeats(cups, way, monkeypatch):
    order, (first, second) = new_order(), cups
    crash_on(second, step_of(way), monkeypatch)
    with pytest.raises(RemoteFault):
        reserve(order, {first: 2, second: 2}, seconds=-1)
    assert reservations.expire_due(datetime.now(UTC)) == 1
    assert stock(first) == (10, 0)


@ANOTHER_SHARD
def test_a_refusal_also_lets_go_of_what_an_attempt_that_crashed_had_taken(cups, way, monkeypatch):
    order, (first, second) = new_order(), cups
    crash_on(second, step_of(way), monkeypatch)
    with pytest.raises(RemoteFault):
        reserve(order, {first: 2, second: 9})
    monkeypatch.undo()
    reserve(new_order(), {second: 5})
    with pytest.raises(OutOfStockError):
        reserve(order, {first: 2, second: 9})
    assert (stock(first), stock(second)) == ((10, 0), (10, 5))


def test_an_unknown_variant_is_named_and_nothing_is_held(cups):
    order, (cup, _), unknown = new_order(), cups, new_id("catalog")
    with pytest.raises(VariantNotFoundError) as refused:
        reserve(order, {cup: 1, unknown: 1})
    assert refused.value.lines == (Refusal(variant_id=str(unknown)),)
    assert stock(cup) == (10, 0)


@pytest.mark.parametrize("status", [ProductStatus.DRAFT, ProductStatus.ARCHIVED])
def test_what_is_not_active_is_not_for_sale_and_nothing_is_held(cups, status):
    order, (cup, _), hidden = new_order(), cups, variant_on(1, status=status)
    with pytest.raises(NotForSaleError) as refused:
        reserve(order, {cup: 1, hidden: 1})
    assert refused.value.lines == (Refusal(variant_id=str(hidden)),)
    assert stock(cup) == (10, 0)


def test_a_repetition_succeeds_although_the_product_left_the_shop_meanwhile(cups):
    order, (cup, _) = new_order(), cups
    reserve(order, {cup: 1})
    archive(cup)
    assert reserve(order, {cup: 1}) == [cup]
    with pytest.raises(NotForSaleError):
        reserve(new_order(), {cup: 1})


def test_other_quantities_under_the_same_order_are_a_fault_of_the_caller(cups):
    order, (cup, _) = new_order(), cups
    reserve(order, {cup: 1})
    with pytest.raises(RemoteFault):
        reserve(order, {cup: 2})
    assert stock(cup) == (10, 1)


def test_less_than_one_piece_is_a_fault_of_the_caller(cups):
    with pytest.raises(RemoteFault):
        reserve(new_order(), {cups[0]: 0})


def test_an_expired_hold_is_taken_again_by_reserve(cups, expired):
    reserve(expired, dict.fromkeys(cups, 3))
    assert [stock(cup) for cup in cups] == [(10, 3), (10, 3)]


def test_the_last_free_piece_is_told_once(cups):
    order, (cup, _) = new_order(), cups
    reserve(order, {cup: 10})
    reserve(order, {cup: 10})
    [told] = events(StockDepleted)
    assert told["variant_id"] == str(cup)
    # and again when it has been there in between
    cancel(order, cup)
    reserve(new_order(), {cup: 10})
    assert len(events(StockDepleted)) == 2


# ---- commit --------------------------------------------------------------------------------------------------


def test_commit_sells_what_is_held_and_writes_it_down(cups):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    commit(order, *cups)
    assert [(stock(cup), state(order, cup)) for cup in cups] == [((7, 0), "committed")] * 2
    assert movements(cups[0]) == [("received", 10, 10), ("sold", -3, 7)]


def test_committing_again_sells_nothing_more(cups):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    for _ in range(3):
        commit(order, *cups)
    assert [stock(cup) for cup in cups] == [(7, 0), (7, 0)]


def test_reserving_a_committed_order_again_changes_nothing(cups):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    commit(order, *cups)
    assert reserve(order, dict.fromkeys(cups, 3)) == list(cups)
    assert [stock(cup) for cup in cups] == [(7, 0), (7, 0)]


@ANOTHER_SHARD
def test_a_commit_that_broke_off_between_the_shards_is_finished_by_the_repetition(cups, monkeypatch):
    order, (first, second) = new_order(), cups
    reserve(order, dict.fromkeys(cups, 3))
    crash_on(second, "_commit", monkeypatch)
    with pytest.raises(RemoteFault):
        commit(order, *cups)
    assert (stock(first), stock(second)) == ((7, 0), (10, 3))
    monkeypatch.undo()
    commit(order, *cups)
    assert (stock(first), stock(second)) == ((7, 0), (7, 0))


def test_commit_of_an_expired_hold_takes_the_pieces_again(cups, expired):
    commit(expired, *cups)
    assert [(stock(cup), state(expired, cup)) for cup in cups] == [((7, 0), "committed")] * 2


def test_commit_of_an_expired_hold_that_takes_the_last_pieces_tells_it(cups):
    order, (cup, _) = new_order(), cups
    reserve(order, {cup: 10}, seconds=-1)
    reservations.expire_due(datetime.now(UTC))
    commit(order, cup)
    assert stock(cup) == (0, 0)
    assert len(events(StockDepleted)) == 2


def test_commit_of_an_expired_hold_whose_pieces_are_gone_is_refused(cups, expired):
    first, second = cups
    # given that somebody else took nearly all of the second variant after the hold ran out
    reserve(new_order(), {second: 8})
    with pytest.raises(OutOfStockError) as refused:
        commit(expired, *cups)
    assert refused.value.lines == (Refusal(variant_id=str(second), available=2),)
    # then cancelling brings back what the first shard had sold; on a single one nothing was
    assert stock(first) == ((7, 0) if SHARDS > 1 else (10, 0))
    cancel(expired, *cups)
    assert (stock(first), stock(second)) == ((10, 0), (10, 8))


def test_commit_of_what_was_never_held_is_out_of_stock(cups):
    with pytest.raises(OutOfStockError) as refused:
        commit(new_order(), cups[0])
    assert refused.value.lines == (Refusal(variant_id=str(cups[0]), available=10),)
    assert stock(cups[0]) == (10, 0)


def test_commit_after_cancel_is_a_conflict(cups):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    cancel(order, *cups)
    with pytest.raises(ReservationCancelledError):
        commit(order, *cups)
    assert [stock(cup) for cup in cups] == [(10, 0), (10, 0)]


# ---- cancel --------------------------------------------------------------------------------------------------


def test_cancel_gives_held_pieces_back(cups):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    for _ in range(3):
        cancel(order, *cups)
    assert [(stock(cup), state(order, cup)) for cup in cups] == [((10, 0), "cancelled")] * 2
    assert movements(cups[0]) == [("received", 10, 10)]


def test_cancel_takes_sold_pieces_back_and_writes_it_down(cups):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    commit(order, *cups)
    for _ in range(3):
        cancel(order, *cups)
    assert [(stock(cup), state(order, cup)) for cup in cups] == [((10, 0), "returned")] * 2
    assert movements(cups[0]) == [("received", 10, 10), ("sold", -3, 7), ("returned", 3, 10)]


def test_cancel_of_an_expired_hold_is_final(cups, expired):
    cancel(expired, *cups)
    assert [(stock(cup), state(expired, cup)) for cup in cups] == [((10, 0), "cancelled")] * 2
    with pytest.raises(ReservationCancelledError):
        reserve(expired, dict.fromkeys(cups, 3))


def test_a_reserve_that_comes_after_its_cancel_is_refused(cups):
    order = new_order()
    cancel(order, *cups)
    assert [state(order, cup) for cup in cups] == ["cancelled", "cancelled"]
    with pytest.raises(ReservationCancelledError):
        reserve(order, dict.fromkeys(cups, 3))
    assert [stock(cup) for cup in cups] == [(10, 0), (10, 0)]


@ANOTHER_SHARD
def test_a_reserve_whose_cancel_reached_only_the_second_shard_holds_nothing(cups):
    order, (first, second) = new_order(), cups
    cancel(order, second)
    with pytest.raises(ReservationCancelledError):
        reserve(order, {first: 3, second: 3})
    assert (stock(first), state(order, first)) == ((10, 0), "expired")


@ANOTHER_SHARD
def test_a_cancel_that_broke_off_between_the_shards_is_finished_by_the_repetition(cups, monkeypatch):
    order, (first, second) = new_order(), cups
    reserve(order, dict.fromkeys(cups, 3))
    crash_on(second, "_cancel", monkeypatch)
    with pytest.raises(RemoteFault):
        cancel(order, *cups)
    assert (stock(first), stock(second)) == ((10, 0), (10, 3))
    monkeypatch.undo()
    cancel(order, *cups)
    assert (stock(first), stock(second)) == ((10, 0), (10, 0))


def test_cancelling_a_variant_that_does_not_exist_does_nothing(cups):
    order = new_order()
    cancel(order, new_id("catalog"), cups[0])
    assert state(order, cups[0]) == "cancelled"


def test_a_crash_inside_a_shards_transaction_leaves_it_as_it_was(cups, monkeypatch):
    order = new_order()
    reserve(order, dict.fromkeys(cups, 3))
    monkeypatch.setattr(reservations, "change_levels", broken)
    for command in (commit, cancel):
        with pytest.raises(RemoteFault):
            command(order, *cups)
    assert [(stock(cup), state(order, cup)) for cup in cups] == [((10, 3), "held")] * 2


# ---- many lines, sweeping ------------------------------------------------------------------------------------


def test_as_many_lines_as_an_order_may_have_take_a_bounded_number_of_statements(
    django_assert_max_num_queries,
):
    few, many = new_order(), {variant_on(shard): 1 + shard for shard in (0, 1) for _ in range(15)}
    on_first = [each for each in many if alias_of("catalog", each) == "catalog_0"]
    generator_of("catalog").ensure_window()  # whose statements are nobody's lines
    with django_assert_max_num_queries(13, connection=connection_of(on_first[0])):
        reserve(few, many)
    assert [stock(each)[1] for each in many] == list(many.values())


def test_the_sweeper_lets_go_of_what_is_due_and_of_nothing_else(cups):
    late, early = new_order(), new_order()
    reserve(late, dict.fromkeys(cups, 2), seconds=60)
    reserve(early, dict.fromkeys(cups, 3), seconds=-1)
    assert reservations.expire_due(datetime.now(UTC)) == 2
    assert [(state(early, cup), state(late, cup)) for cup in cups] == [("expired", "held")] * 2
    assert [stock(cup) for cup in cups] == [(10, 2), (10, 2)]
    assert reservations.expire_due(datetime.now(UTC)) == 0


def test_the_sweeper_works_in_batches(cups, monkeypatch):
    monkeypatch.setattr(reservations, "BATCH", 2)
    for _ in range(5):
        reserve(new_order(), dict.fromkeys(cups, 1), seconds=-1)
    assert reservations.expire_due(datetime.now(UTC)) == 10
    assert [stock(cup) for cup in cups] == [(10, 0), (10, 0)]


def test_a_line_that_was_committed_after_the_sweeper_looked_stays_sold(cups, monkeypatch):
    order, (cup, _) = new_order(), cups
    reserve(order, {cup: 3}, seconds=-1)
    line = ReservationLine.objects.get(variant_id=cup, order_id=order)
    commit(order, cup)
    # when the sweeper acts on what it saw before
    assert reservations._let_go([line.pk], [cup], before=datetime.now(UTC)) == 0
    assert (stock(cup), state(order, cup)) == ((7, 0), "committed")


def broken(*args, **options):
    raise ZeroDivisionError


def step_of(way):
    return "_hold_at_once" if way == "at once" else "_hold"


def crash_on(variant, step, monkeypatch):
    """Let ``step`` fail on the variant's shard."""
    real = getattr(reservations, step)

    def crashing(order_id, ids, *rest):
        return broken() if variant in ids else real(order_id, ids, *rest)

    monkeypatch.setattr(reservations, step, crashing)


def connection_of(variant):
    return connections[alias_of("catalog", variant)]
