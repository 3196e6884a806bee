"""Rules of ordering, without anything around them."""

from datetime import UTC, datetime, timedelta

import pytest

from contexts.ordering import domain
from contexts.ordering.contract import CurrencyMismatchError, DuplicateLineError, OrderLineRequest, TotalChangedError
from contexts.ordering.domain import AttemptStatus, PaymentStatus
from shop.contract import Money


def eur(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def test_a_total_is_the_sum_of_its_lines():
    found = domain.totals([2, 3], [eur(1299), eur(250)])
    assert (found.line_totals, found.subtotal, found.total, found.currency) == ((2598, 750), 3348, 3348, "EUR")


def test_two_currencies_are_refused():
    with pytest.raises(CurrencyMismatchError):
        domain.totals([1, 1], [eur(1), Money(amount=1, currency="GBP")])


@pytest.mark.parametrize("agreed", [eur(99), Money(amount=100, currency="GBP")])
def test_a_total_nobody_agreed_to_is_refused(agreed):
    with pytest.raises(TotalChangedError):
        domain.refuse_other_total(agreed, domain.totals([1], [eur(100)]))


def test_the_total_agreed_to_or_none_passes():
    found = domain.totals([1], [eur(100)])
    domain.refuse_other_total(eur(100), found)
    domain.refuse_other_total(None, found)


def test_every_repeated_variant_is_named():
    lines = [OrderLineRequest(variant_id=v, quantity=1) for v in ("1", "2", "1", "2", "3")]
    with pytest.raises(DuplicateLineError) as refusal:
        domain.refuse_duplicates(lines)
    assert [fault.field for fault in refusal.value.faults] == ["lines.2", "lines.3"]


@pytest.mark.parametrize("new", AttemptStatus)
def test_news_of_the_same_state_changes_nothing(new):
    assert not domain.supersedes(new, new)


@pytest.mark.parametrize("old", [status for status in AttemptStatus if status != AttemptStatus.CAPTURED])
def test_money_taken_always_counts(old):
    assert domain.supersedes(AttemptStatus.CAPTURED, old)
    assert not domain.supersedes(old, AttemptStatus.CAPTURED)


@pytest.mark.parametrize(
    ("captured", "refunded", "attempt_open", "expected"),
    [
        (0, 0, False, PaymentStatus.UNPAID),
        (0, 0, True, PaymentStatus.PENDING),
        (100, 0, False, PaymentStatus.PAID),
        (100, 40, False, PaymentStatus.PARTIALLY_REFUNDED),
        (100, 100, False, PaymentStatus.REFUNDED),
    ],
)
def test_payment_status_follows_the_ledger(captured, refunded, attempt_open, expected):
    found = domain.payment_status_of(captured=captured, refunded=refunded, total=100, attempt_open=attempt_open)
    assert found == expected


def test_a_payment_leaves_time_to_pay_and_takes_none_away():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert domain.expiry_with_time_to_pay(now + timedelta(seconds=10), now) == now + timedelta(seconds=900)
    assert domain.expiry_with_time_to_pay(now + timedelta(seconds=1800), now) == now + timedelta(seconds=1800)
