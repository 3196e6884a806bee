"""Invariant 11: status columns are what the rows beside them say. `declare_invariants` comes in here."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Subquery

from contexts.ordering.domain import (
    OPEN_ATTEMPTS,
    AttemptStatus,
    FulfilmentStatus,
    OrderStatus,
    payment_status_of,
)
from contexts.ordering.models import Order, Payment, PaymentEvent, Shipment, TimelineEntry
from contexts.ordering.services.auditing.sums import Kind, ledger_of_order
from shop.invariants import Finding, Window
from shop.sharding.public_ids import public_id

TOLD: Final = {
    "order_cancelled": OrderStatus.CANCELLED,
    "order_completed": OrderStatus.COMPLETED,
    "order_placed": OrderStatus.PLACED,
    "order_expired": OrderStatus.EXPIRED,
    "order_created": OrderStatus.PENDING_PAYMENT,
}
"""What the timeline says of an order's status, the last word first: what may follow stands before what it follows."""


def orders_apart(window: Window) -> Iterator[Finding]:
    """Orders whose status, payment status or fulfilment status is not what timeline, ledger or parcel say."""
    shipment = Shipment.objects.filter(order_id=OuterRef("pk"))
    attempts = Payment.objects.filter(order_id=OuterRef("pk"), status__in=OPEN_ATTEMPTS)
    rows = window.of(Order).annotate(
        captured=ledger_of_order(Kind.CAPTURED),
        refunded=ledger_of_order(Kind.REFUNDED),
        attempt_open=Exists(attempts),
        shipment=Subquery(shipment.values("pk")[:1]),
        arrived_at=Subquery(shipment.values("delivered_at")[:1]),
        **{kind: Exists(TimelineEntry.objects.filter(order_id=OuterRef("pk"), type=kind)) for kind in TOLD},
    )
    names = ("total", "status", "payment_status", "fulfilment_status", "captured", "refunded", "attempt_open")
    for row in rows.values("pk", *names, "shipment", "arrived_at", *TOLD):
        right = _right(row)
        faults = [f"{name} is {row[name]}, should be {right[name]}" for name in right if row[name] != right[name]]
        if faults:
            yield Finding(ids=(public_id("ord", row["pk"]),), detail="; ".join(faults))


def _right(row: dict[str, Any]) -> dict[str, str]:
    """What the columns should be."""
    return {
        "status": next((status for kind, status in TOLD.items() if row[kind]), "none: its timeline does not begin"),
        "payment_status": payment_status_of(
            captured=row["captured"], refunded=row["refunded"], total=row["total"], attempt_open=row["attempt_open"]
        ),
        "fulfilment_status": _fulfilment(row["shipment"], row["arrived_at"]),
    }


def _fulfilment(shipment: int | None, arrived_at: datetime | None) -> FulfilmentStatus:
    if shipment is None:
        return FulfilmentStatus.UNFULFILLED
    return FulfilmentStatus.DELIVERED if arrived_at else FulfilmentStatus.SHIPPED


def payments_apart(window: Window) -> Iterator[Finding]:
    """Attempts to pay whose status is not the last that their ledger knows."""
    kinds = (Kind.CAPTURED, Kind.FAILED, Kind.CANCELLED)
    rows = window.of(Payment).annotate(
        **{f"has_{k}": Exists(PaymentEvent.objects.filter(payment_id=OuterRef("pk"), kind=k)) for k in kinds}
    )
    for order_id, payment_id, status, *has in rows.values_list(
        "order_id", "pk", "status", *(f"has_{kind}" for kind in kinds)
    ):
        told = [AttemptStatus(kind.value) for kind, is_there in zip(kinds, has, strict=True) if is_there]
        right = _may_be(told)
        if status not in right:
            ids = (public_id("ord", order_id), public_id("pay", payment_id))
            yield Finding(ids=ids, detail=f"status is {status}, should be {' or '.join(right)}")


def _may_be(told: Collection[AttemptStatus]) -> Collection[AttemptStatus]:
    """Money that was taken always counts; without a word in the ledger the attempt is open."""
    return [AttemptStatus.CAPTURED] if AttemptStatus.CAPTURED in told else told or OPEN_ATTEMPTS
