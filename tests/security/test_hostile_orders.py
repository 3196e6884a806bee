"""Orders and stock beyond all measure: lines twice, too many of them, sums that no column holds."""

import pytest
from django.conf import settings

from shop.sharding.public_ids import public_id
from tests.security.operations import Operation, operations
from tests.security.world import World, changes, make_world, stored

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

MOST = 1_000_000


def operation(name: str) -> Operation:
    [found] = [each for each in operations() if str(each).endswith(name)]
    return found


def line(world: World, **changed) -> dict:
    return {"variant_id": world.variant, "quantity": 1, **changed}


LINES = {
    "a variant twice": (lambda w: [line(w), line(w)], (422, "duplicate_line")),
    "a variant twice, far apart": (
        lambda w: [line(w), *(line(w, variant_id=public_id("var", n)) for n in range(99)), line(w, quantity=2)],
        (422, "duplicate_line"),
    ),
    "1,501 lines": (lambda w: [line(w, variant_id=public_id("var", n)) for n in range(1_501)], (422, "invalid")),
    "1,501 times the same": (lambda w: [line(w)] * 1_501, (422, "invalid")),
    "no lines": (lambda w: [], (422, "invalid")),
    "1,500 lines of nothing": (
        lambda w: [line(w, variant_id=public_id("var", n)) for n in range(1_500)],
        (404, "variant_not_found"),
    ),
    "none of it": (lambda w: [line(w, quantity=0)], (422, "invalid")),
    "less than none": (lambda w: [line(w, quantity=-1)], (422, "invalid")),
    "one too many": (lambda w: [line(w, quantity=MOST + 1)], (422, "invalid")),
    "more than there is": (lambda w: [line(w, quantity=MOST)], (409, "out_of_stock")),
    "2 ** 63": (lambda w: [line(w, quantity=1 << 63)], (422, "invalid")),
    "2 ** 64 + 1": (lambda w: [line(w, quantity=(1 << 64) + 1)], (422, "invalid")),
}


@pytest.mark.parametrize(("lines", "refusal"), LINES.values(), ids=LINES)
def test_lines_that_make_no_order_change_nothing(lines, refusal):
    world, place_order = make_world(), operation("POST /api/v1/ordering/orders")
    good, before = place_order.good(world), stored()
    answer = place_order.send(world, good, {**good.body, "lines": lines(world)})
    assert answer.refusal == refusal, answer.body[:300]
    assert changes(before, stored()) == []


def test_a_sum_that_no_column_holds_is_refused():
    # given ten of the dearest things there may be, and as much of each as there may be
    world = make_world()
    make, place_order = operation("POST /api/v1/catalog/products"), operation("POST /api/v1/ordering/orders")
    dear = {"price": {"amount": 10**12, "currency": "GBP"}, "stock": MOST}
    draft = {**make.good(world).body, "variants": [{**dear, "sku": f"DEAR-{number}"} for number in range(10)]}
    variants = make.send(world, make.good(world), draft).json["variants"]
    good, before = place_order.good(world), stored()
    # when somebody orders all of it, then that is refused
    body = {**good.body, "lines": [line(world, variant_id=each["id"], quantity=MOST) for each in variants]}
    assert place_order.send(world, good, body).status in (409, 422)
    del body["expected_total"]
    assert place_order.send(world, good, body).status in (409, 422)
    assert [row for row in changes(before, stored()) if "shop_ordering" in row.split(":")[0]] == []


def test_stock_can_not_grow_beyond_what_its_column_holds():
    world, adjust = make_world(), operation("/stock/adjustments")
    answers = [adjust.send(world, adjust.good(world), {"delta": 10**9, "reason": "more"}) for _ in range(12)]
    assert {answer.status for answer in answers} <= {201, 409, 422}, [answer.refusal for answer in answers]


@pytest.mark.parametrize("amount", [0, -1, 10**30, -(10**30), 1299 * 5, 1 << 62])
def test_no_more_goes_back_than_was_paid(amount):
    world, refund = make_world(), operation("/refunds")
    before = stored()
    answer = refund.send(world, refund.good(world), {"amount": {"amount": amount, "currency": "GBP"}, "reason": "x"})
    assert answer.refusal in ((422, "invalid"), (409, "refund_exceeds_payment")), answer.body
    assert changes(before, stored()) == []
