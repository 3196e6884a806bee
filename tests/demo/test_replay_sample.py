"""A part of the shipped sample, replayed and counted anew to the piece and the penny."""

from datetime import UTC, datetime

import pytest

from contexts.catalog.tests.factories import assert_the_books_balance
from contexts.ordering.models import Order, Refund
from shop.sharding.readiness import all_aliases
from tests.demo.sales import (
    SAMPLE,
    lines_of,
    load_products,
    moved_by_sku,
    orders_by_email,
    part_of,
    providers_sums,
    recount,
    replayed,
    stock_by_sku,
)

LARGEST, REPEATING = "537434", "536412"
GUESTS = ("536558", "536866", "C538686")
CHANGED_THEIR_MINDS = ("15100", "15311", "13448", "15502", "13767", "14409", "17924")

pytestmark = pytest.mark.django_db(databases=all_aliases(), transaction=True)


def test_real_baskets_come_to_what_pencil_and_paper_say(tmp_path):
    # given the sample's largest basket, one with many repeated SKUs, guests, and customers who took something back
    began = datetime.now(UTC).isoformat()
    part = part_of(tmp_path / "part.csv.gz", SAMPLE, (LARGEST, REPEATING, *GUESTS, *CHANGED_THEIR_MINDS))
    load_products({line["sku"] for line in lines_of(part)})
    expected, stock = recount(part), stock_by_sku()
    assert (len(expected.orders), max(len(order.pieces) for order in expected.orders)) == (24, 673)
    assert (expected.refunds, expected.cut_short, expected.unmatched_lines) == (13, 1, 9)
    # when
    summary = replayed(part)
    # then every order and every refund is the one it must be
    assert orders_by_email() == expected.by_email
    assert {row.status for row in Refund.objects.across().rows()} == {"succeeded"}
    assert Refund.objects.across().count() == expected.refunds
    # and the pieces came and went
    assert moved_by_sku("adjusted", "replay") == expected.pieces()
    assert {sku: -pieces for sku, pieces in moved_by_sku("sold").items()} == expected.pieces()
    assert stock_by_sku() == stock
    assert_the_books_balance()
    # and the provider and the summary agree
    charged, given_back = providers_sums(began)
    assert charged == sum(order.total for order in expected.orders) == summary["charged"]["GBP"]
    assert given_back == sum(order.back for order in expected.orders) == summary["given_back"]["GBP"]
    assert summary["orders"] == {
        "placed": len(expected.orders),
        "paid": len(expected.orders),
        "payment_pending": 0,
        "skipped": 0,
        "done_before": 0,
        "lines": sum(len(order.pieces) for order in expected.orders),
        "pieces": expected.pieces().total(),
        "unknown_lines": 0,
    }
    assert summary["cancellations"] == {
        "refunds": expected.refunds,
        "cut_short": expected.cut_short,
        "done_before": 0,
        "lines": expected.cancelled_lines,
        "unmatched_lines": expected.unmatched_lines,
    }
    assert summary["refused"] == {}
    assert sum(summary["rows"]["ordering.orders"].values()) == Order.objects.across().count() == len(expected.orders)
