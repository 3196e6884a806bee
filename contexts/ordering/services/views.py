"""Orders as use cases return them: frozen values, whole, without the ORM behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contexts.ordering.models import Order, OrderLine, Payment, Refund, Shipment
from contexts.ordering.models.statements import LINE, ORDER, PAYMENT, REFUND, SHIPMENT
from shop.sharding.statements import Row, moment, parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """One line; money in minor units of the order's currency."""

    variant_id: int
    product_id: int
    sku: str
    name: str
    quantity: int
    unit_price: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """One attempt to pay; ``client_secret`` only where the customer is told how to finish it."""

    id: int
    order_id: int
    provider: str
    status: str
    amount: int
    currency: str
    failure_code: str
    created_at: datetime
    client_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """Money going back."""

    id: int
    amount: int
    currency: str
    reason: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentView:
    """A parcel."""

    id: int
    carrier: str
    tracking_number: str
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """One order; lines in the order asked, payments and refunds oldest first."""

    id: int
    customer_id: int
    status: str
    payment_status: str
    fulfilment_status: str
    currency: str
    lines: tuple[LineView, ...]
    subtotal: int
    discount_total: int
    shipping_total: int
    tax_total: int
    total: int
    shipping_address: Mapping[str, str | None]
    payments: tuple[PaymentView, ...]
    refunds: tuple[RefundView, ...]
    shipments: tuple[ShipmentView, ...]
    expires_at: datetime
    created_at: datetime
    placed_at: datetime | None
    updated_at: datetime


def payment_view(row: Payment) -> PaymentView:
    """A payment as a value."""
    return PaymentView(
        id=row.pk,
        order_id=row.order_id,
        provider=row.provider,
        status=row.status,
        amount=row.amount,
        currency=row.currency,
        failure_code=row.failure_code,
        created_at=row.created_at,
    )


def order_of_row(row: Row) -> OrderView:
    """A row of `ORDERS` as a value."""
    order = _named(ORDER, row)
    lines, payments, refunds, shipments = (sorted(parsed(part)) for part in row[len(ORDER) :])
    order["shipping_address"] = parsed(order["shipping_address"])
    return OrderView(
        **order,
        lines=tuple(LineView(**_named(LINE[1:], line[1:])) for line in lines),
        payments=tuple(PaymentView(**_named(PAYMENT, each)) for each in payments),
        refunds=tuple(RefundView(**_named(REFUND, each), currency=order["currency"]) for each in refunds),
        shipments=tuple(ShipmentView(**_named(SHIPMENT, each)) for each in shipments),
    )


def _named(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Values by column, times as times."""
    found = dict(zip(columns, values, strict=False))
    for name in columns:
        if name.endswith("_at") and found[name] is not None:
            found[name] = moment(found[name])
    return found


def new_order_view(order: Order, lines: Sequence[OrderLine]) -> OrderView:
    """An order that is being placed, as a value: nothing is paid or sent yet."""
    return OrderView(
        **{name: getattr(order, name) for name in ORDER},
        lines=tuple(_line_view(line) for line in lines),
        payments=(),
        refunds=(),
        shipments=(),
    )


def _line_view(line: OrderLine) -> LineView:
    return LineView(
        variant_id=line.variant_id,
        product_id=line.product_id,
        sku=line.sku,
        name=line.name,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total=line.total,
    )


def refund_view(row: Refund, currency: str) -> RefundView:
    """A refund as a value."""
    return RefundView(
        id=row.pk,
        amount=row.amount,
        currency=currency,
        reason=row.reason,
        status=row.status,
        created_at=row.created_at,
    )


def shipment_view(row: Shipment) -> ShipmentView:
    """A shipment as a value."""
    return ShipmentView(
        id=row.pk,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        created_at=row.created_at,
        delivered_at=row.delivered_at,
    )
