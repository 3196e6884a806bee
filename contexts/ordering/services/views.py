"""Orders as use cases return them: frozen values, whole, without the ORM behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from contexts.ordering.models import Order, OrderLine, Payment, Refund, Shipment


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
    """One attempt to pay."""

    id: int
    order_id: int
    provider: str
    status: str
    amount: int
    currency: str
    failure_code: str
    created_at: datetime


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


def order_view(
    order: Order,
    lines: Iterable[OrderLine],
    payments: Iterable[Payment] = (),
    refunds: Iterable[Refund] = (),
    shipments: Iterable[Shipment] = (),
) -> OrderView:
    """An order as a value."""
    return OrderView(
        id=order.pk,
        customer_id=order.customer_id,
        status=order.status,
        payment_status=order.payment_status,
        fulfilment_status=order.fulfilment_status,
        currency=order.currency,
        lines=tuple(_line_view(line) for line in sorted(lines, key=lambda line: line.position)),
        subtotal=order.subtotal,
        discount_total=order.discount_total,
        shipping_total=order.shipping_total,
        tax_total=order.tax_total,
        total=order.total,
        shipping_address=order.shipping_address,
        payments=tuple(payment_view(row) for row in sorted(payments, key=lambda row: row.pk)),
        refunds=tuple(refund_view(row, order.currency) for row in sorted(refunds, key=lambda row: row.pk)),
        shipments=tuple(shipment_view(row) for row in shipments),
        expires_at=order.expires_at,
        created_at=order.created_at,
        placed_at=order.placed_at,
        updated_at=order.updated_at,
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
