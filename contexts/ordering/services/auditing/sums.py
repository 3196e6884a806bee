"""Sums over the rows that belong to a row, as parts of the statement that reads it: both are of one moment."""

from typing import Any

from django.db.models import BigIntegerField, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from contexts.ordering.models import PaymentEvent, Refund

Kind = PaymentEvent.Kind


def total(rows: QuerySet[Any], by: str, outer: str = "pk", field: str = "amount") -> Coalesce:
    """Σ ``field`` over those of ``rows`` whose ``by`` is the ``outer`` of the row at hand."""
    mine = rows.filter(**{by: OuterRef(outer)}).order_by().values(by).annotate(total=Sum(field)).values("total")
    return Coalesce(Subquery(mine, output_field=BigIntegerField()), 0)


def ledger(kind: Kind) -> Coalesce:
    """What the ledger of a payment says was captured, or refunded."""
    return total(PaymentEvent.objects.filter(kind=kind), by="payment_id")


def ledger_of_order(kind: Kind, outer: str = "pk") -> Coalesce:
    """The same of all payments of an order that count: surplus goes back by itself."""
    counting = PaymentEvent.objects.filter(kind=kind, payment__surplus=False)
    return total(counting, by="payment__order_id", outer=outer)


def promised() -> Coalesce:
    """What has gone back of a payment, or is on its way."""
    return total(Refund.objects.exclude(status=Refund.Status.FAILED), by="payment_id")
