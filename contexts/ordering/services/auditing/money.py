"""Invariants 6, 7 and 8: what orders cost, what was taken, what went back. `declare_invariants` comes in here."""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import F, Q

from contexts.ordering.domain import AttemptStatus, OrderStatus
from contexts.ordering.models import Order, OrderLine, Payment, Refund
from contexts.ordering.services.auditing.sums import Kind, ledger, ledger_of_order, promised, total
from shop.invariants import Finding, Window
from shop.sharding.public_ids import public_id

DEAD: Final = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)


def totals_apart(window: Window) -> Iterator[Finding]:
    """Orders whose total is not what they are made of."""
    rows = window.of(Order).annotate(of_lines=total(OrderLine.objects.all(), by="order_id", field="total"))
    right = F("of_lines") + F("shipping_total") + F("tax_total") - F("discount_total")
    apart = rows.exclude(subtotal=F("of_lines"), total=right)
    names = ("pk", "total", "subtotal", "of_lines", "shipping_total", "tax_total", "discount_total")
    for order_id, *numbers in apart.values_list(*names):
        said = ", ".join(f"{name} {number}" for name, number in zip(names[1:], numbers, strict=True))
        yield Finding(ids=(public_id("ord", order_id),), detail=said.replace("of_lines", "lines"))


def sums_apart(window: Window) -> Iterator[Finding]:
    """Payments of which more went back than came, of which more came than the order costs, or whose columns differ."""
    given_back = total(Refund.objects.filter(status=Refund.Status.SUCCEEDED), by="payment_id")
    rows = window.of(Payment).annotate(
        captured=ledger(Kind.CAPTURED),
        refunded=ledger(Kind.REFUNDED),
        taken=ledger_of_order(Kind.CAPTURED, outer="order_id"),
        given_back=given_back,
        promised=promised(),
        order_total=F("order__total"),
    )
    names = (
        *("pk", "order_id", "status", "surplus", "amount", "captured", "refunded", "taken", "given_back"),
        *("promised", "order_total"),
    )
    for row in rows.values(*names):
        if faults := _faults(row):
            yield _finding(row["order_id"], row["pk"], "; ".join(faults))


def _faults(row: dict[str, Any]) -> list[str]:
    captured, counts = row["captured"], not row["surplus"]
    wrong = {
        f"refunded {row['refunded']} > captured {captured}": row["refunded"] > captured,
        f"refunds of {row['promised']} > captured {captured}": row["promised"] > captured,
        f"refunds of {row['given_back']} went through, the ledger has {row['refunded']}": (
            row["given_back"] != row["refunded"]
        ),
        f"captured {row['taken']} > the order's total {row['order_total']}": (
            counts and captured > 0 and row["taken"] > row["order_total"]
        ),
        f"its amount is {row['amount']}, the ledger has captured {captured}": (
            counts and row["status"] == AttemptStatus.CAPTURED and captured != row["amount"]
        ),
    }
    return [fault for fault, is_so in wrong.items() if is_so]


def kept(window: Window) -> Iterator[Finding]:
    """Captured payments of dead orders, and surplus ones, of which less goes back than was taken."""
    owed = Q(order__status__in=DEAD) | Q(surplus=True)
    captured = window.of(Payment).filter(owed, status=AttemptStatus.CAPTURED)
    rows = captured.annotate(captured=ledger(Kind.CAPTURED), promised=promised())
    short = rows.filter(promised__lt=F("captured"))
    names = ("order_id", "pk", "order__status", "surplus", "captured", "promised")
    for order_id, payment_id, status, surplus, taken, back in short.values_list(*names):
        what = "surplus payment" if surplus else f"payment of an order that is {status}"
        yield _finding(order_id, payment_id, f"{what}: {taken} captured, refunds of {back}")


def _finding(order_id: int, payment_id: int, detail: str) -> Finding:
    return Finding(ids=(public_id("ord", order_id), public_id("pay", payment_id)), detail=detail)
