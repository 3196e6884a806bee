"""What must hold of orders and their money: invariants 6 to 9, 11, and ordering's part of 5. `apps` comes in here."""

from typing import Final

from django.db.models import Q

from contexts.ordering.domain import AttemptStatus, OrderStatus
from contexts.ordering.models import Order, Payment
from contexts.ordering.services.auditing import fake_money, money, pieces, statuses
from contexts.ordering.services.providers import is_offered
from shop.invariants import events_under_way, invariant, over

CONTEXT: Final = "ordering"


def declare_invariants() -> None:
    """Let `manage.py check_invariants` look at them."""
    sets = over(Order, pieces.sets_apart, size=pieces.WINDOW)
    invariant("5", "one reservation set per order, of its lines", sets, pieces.SOLD, context=CONTEXT)
    invariant(
        "6",
        "an order's total = its lines + shipping + tax - discount",
        over(Order, money.totals_apart),
        context=CONTEXT,
    )
    invariant(
        "7",
        "refunded ≤ captured ≤ total; columns = sums of the ledger",
        over(Payment, money.sums_apart),
        context=CONTEXT,
    )
    captured = over(Payment, money.kept, where=Q(status=AttemptStatus.CAPTURED))
    invariant(
        "8", "no money of a dead order, and none that came twice, is kept without a refund", captured, context=CONTEXT
    )
    decided = over(Order, pieces.fates_apart, where=~Q(status=OrderStatus.PENDING_PAYMENT), size=pieces.WINDOW)
    invariant(
        "9",
        "a placed order's reservation is committed, a dead one's released",
        decided,
        context=CONTEXT,
        under_way=events_under_way,
    )
    invariant(
        "11",
        "status columns are what their ledgers say",
        over(Order, statuses.orders_apart),
        over(Payment, statuses.payments_apart),
        context=CONTEXT,
    )
    if is_offered("fake"):
        invariant(
            "fake_provider",
            "the fake provider's books and ours agree to the cent",
            over(Payment, fake_money.apart, where=Q(provider="fake"), size=fake_money.PAGE),
            fake_money.CHARGED,
            context=CONTEXT,
            under_way=fake_money.under_way,
        )
