"""Answers of ordering, as the API's document shows them. `shown` makes them; the operations come in here."""

from typing import Annotated, Any

from ninja import Schema

from contexts.ordering.domain import AttemptStatus, FulfilmentStatus, OrderStatus, PaymentStatus
from shop.http.ninja import Moment, MoneyOut, one_of, public_id_of

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


class RefundOut(Schema):
    """Money going back."""

    id: RefundId
    amount: MoneyOut
    reason: str
    status: Annotated[str, one_of("pending", "succeeded", "failed")]
    created_at: Moment


class ShipmentOut(Schema):
    """A parcel on its way."""

    id: ShipmentId
    carrier: str
    tracking_number: str
    created_at: Moment
    delivered_at: Moment | None


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


class CartOut(Schema):
    """A cart; ``total`` is null while it is empty, or holds more than one currency."""

    version: int
    lines: list[CartLineOut]
    total: MoneyOut | None


class TimelineEntryOut(Schema):
    """One thing that happened."""

    at: Moment
    type: str
    data: dict[str, Any]


class TimelineOut(Schema):
    """What happened to an order, oldest first."""

    data: list[TimelineEntryOut]
