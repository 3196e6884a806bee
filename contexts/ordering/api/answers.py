"""Answers of ordering, as the API promises them."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from ninja import Schema

from contexts.ordering.domain import AttemptStatus, FulfilmentStatus, OrderStatus, PaymentStatus
from contexts.ordering.services import (
    CartLineView,
    CartView,
    LineView,
    OrderView,
    PaymentView,
    RefundView,
    ShipmentView,
    TimelineView,
)
from shop.http.ninja import Moment, MoneyOut, one_of, public_id_of
from shop.sharding.public_ids import order_number, public_id

CustomerId = Annotated[str, public_id_of("cus")]
OrderId = Annotated[str, public_id_of("ord")]
PaymentId = Annotated[str, public_id_of("pay")]
ProductId = Annotated[str, public_id_of("prd")]
RefundId = Annotated[str, public_id_of("ref")]
ShipmentId = Annotated[str, public_id_of("shp")]
VariantId = Annotated[str, public_id_of("var")]


class ShippingAddressOut(Schema):
    """Where an order goes, as it was given: what is accepted may change, what was accepted stays readable."""

    name: str
    line1: str
    line2: str | None
    city: str
    region: str | None
    postal_code: str
    country: str


class LineOut(Schema):
    """One line, at the price of its day."""

    variant_id: VariantId
    product_id: ProductId
    sku: str
    name: str
    quantity: int
    unit_price: MoneyOut
    total: MoneyOut

    @classmethod
    def of(cls, line: LineView, currency: str) -> Self:
        """The line as the API shows it."""
        return cls(
            variant_id=public_id("var", line.variant_id),
            product_id=public_id("prd", line.product_id),
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price=MoneyOut(amount=line.unit_price, currency=currency),
            total=MoneyOut(amount=line.total, currency=currency),
        )


class PaymentOut(Schema):
    """One attempt to pay."""

    id: PaymentId
    order_id: OrderId
    provider: str
    status: Annotated[str, one_of(*AttemptStatus)]
    amount: MoneyOut
    client_secret: str | None = None
    failure_code: str | None
    created_at: Moment

    @classmethod
    def of(cls, payment: PaymentView) -> Self:
        """The payment as the API shows it."""
        return cls(
            id=public_id("pay", payment.id),
            order_id=public_id("ord", payment.order_id),
            provider=payment.provider,
            status=payment.status,
            amount=MoneyOut(amount=payment.amount, currency=payment.currency),
            client_secret=payment.client_secret or None,
            failure_code=payment.failure_code or None,
            created_at=payment.created_at,
        )


class RefundOut(Schema):
    """Money going back."""

    id: RefundId
    amount: MoneyOut
    reason: str
    status: Annotated[str, one_of("pending", "succeeded", "failed")]
    created_at: Moment

    @classmethod
    def of(cls, refund: RefundView) -> Self:
        """The refund as the API shows it."""
        return cls(
            id=public_id("ref", refund.id),
            amount=MoneyOut(amount=refund.amount, currency=refund.currency),
            reason=refund.reason,
            status=refund.status,
            created_at=refund.created_at,
        )


class ShipmentOut(Schema):
    """A parcel on its way."""

    id: ShipmentId
    carrier: str
    tracking_number: str
    created_at: Moment
    delivered_at: Moment | None

    @classmethod
    def of(cls, shipment: ShipmentView) -> Self:
        """The shipment as the API shows it."""
        return cls(
            id=public_id("shp", shipment.id),
            carrier=shipment.carrier,
            tracking_number=shipment.tracking_number,
            created_at=shipment.created_at,
            delivered_at=shipment.delivered_at,
        )


class OrderOut(Schema):
    """One order, whole."""

    id: OrderId
    number: str
    customer_id: CustomerId
    status: Annotated[str, one_of(*OrderStatus)]
    payment_status: Annotated[str, one_of(*PaymentStatus)]
    fulfilment_status: Annotated[str, one_of(*FulfilmentStatus)]
    currency: str
    lines: list[LineOut]
    subtotal: MoneyOut
    discount_total: MoneyOut
    shipping_total: MoneyOut
    tax_total: MoneyOut
    total: MoneyOut
    shipping_address: ShippingAddressOut
    payments: list[PaymentOut]
    shipments: list[ShipmentOut]
    refunds: list[RefundOut]
    expires_at: Moment
    created_at: Moment
    placed_at: Moment | None
    updated_at: Moment

    @classmethod
    def of(cls, order: OrderView) -> Self:
        """The order as the API shows it."""
        amounts = {
            name: MoneyOut(amount=getattr(order, name), currency=order.currency)
            for name in ("subtotal", "discount_total", "shipping_total", "tax_total", "total")
        }
        return cls(
            id=public_id("ord", order.id),
            number=order_number(order.id),
            customer_id=public_id("cus", order.customer_id),
            status=order.status,
            payment_status=order.payment_status,
            fulfilment_status=order.fulfilment_status,
            currency=order.currency,
            lines=[LineOut.of(line, order.currency) for line in order.lines],
            shipping_address=ShippingAddressOut.model_validate(dict(order.shipping_address)),
            payments=[PaymentOut.of(payment) for payment in order.payments],
            shipments=[ShipmentOut.of(shipment) for shipment in order.shipments],
            refunds=[RefundOut.of(refund) for refund in order.refunds],
            expires_at=order.expires_at,
            created_at=order.created_at,
            placed_at=order.placed_at,
            updated_at=order.updated_at,
            **amounts,
        )


class OrderList(Schema):
    """A page of orders, newest first."""

    data: list[OrderOut]
    next_cursor: str | None


class CartLineOut(Schema):
    """One line at the price of this moment."""

    variant_id: VariantId
    sku: str
    name: str
    quantity: int
    unit_price: MoneyOut
    total: MoneyOut
    available: int

    @classmethod
    def of(cls, line: CartLineView) -> Self:
        """The line as the API shows it."""
        currency = line.unit_price.currency
        return cls(
            variant_id=public_id("var", line.variant_id),
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price=MoneyOut(amount=line.unit_price.amount, currency=currency),
            total=MoneyOut(amount=line.total, currency=currency),
            available=line.available,
        )


class CartOut(Schema):
    """A cart; ``total`` is null while it is empty, or holds more than one currency."""

    version: int
    lines: list[CartLineOut]
    total: MoneyOut | None

    @classmethod
    def of(cls, cart: CartView) -> Self:
        """The cart as the API shows it."""
        total = MoneyOut(amount=cart.total.amount, currency=cart.total.currency) if cart.total else None
        return cls(version=cart.version, lines=[CartLineOut.of(line) for line in cart.lines], total=total)


class TimelineEntryOut(Schema):
    """One thing that happened."""

    at: Moment
    type: str
    data: dict[str, Any]


class TimelineOut(Schema):
    """What happened to an order, oldest first."""

    data: list[TimelineEntryOut]

    @classmethod
    def of(cls, entries: Sequence[TimelineView]) -> Self:
        """The timeline as the API shows it."""
        return cls(data=[TimelineEntryOut(at=e.at, type=e.type, data=dict(e.data)) for e in entries])
