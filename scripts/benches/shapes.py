"""What the peer takes and answers: the shop's bodies, in pydantic, as one writes them for FastAPI."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


type Moment = Annotated[datetime, PlainSerializer(_moment, return_type=str)]


class Money(BaseModel):
    amount: int
    currency: str


class Address(BaseModel):
    name: str
    line1: str
    line2: str | None = None
    city: str
    region: str | None = None
    postal_code: str
    country: str


class WantedLine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    variant_id: str
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class NewOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lines: Annotated[list[WantedLine], Field(min_length=1, max_length=1500)]
    shipping_address: Address
    expected_total: Money | None = None


class Line(BaseModel):
    variant_id: str
    product_id: str
    sku: str
    name: str
    quantity: int
    unit_price: Money
    total: Money


class Payment(BaseModel):
    id: str
    order_id: str
    provider: str
    status: str
    amount: Money
    client_secret: str | None = None
    failure_code: str | None
    created_at: Moment


class Shipment(BaseModel):
    id: str
    carrier: str
    tracking_number: str
    created_at: Moment
    delivered_at: Moment | None


class Refund(BaseModel):
    id: str
    amount: Money
    reason: str
    status: str
    created_at: Moment


class Order(BaseModel):
    id: str
    number: str
    customer_id: str
    status: str
    payment_status: str
    fulfilment_status: str
    currency: str
    lines: list[Line]
    subtotal: Money
    discount_total: Money
    shipping_total: Money
    tax_total: Money
    total: Money
    shipping_address: Address
    payments: list[Payment]
    shipments: list[Shipment]
    refunds: list[Refund]
    expires_at: Moment
    created_at: Moment
    placed_at: Moment | None
    updated_at: Moment


class Variant(BaseModel):
    id: str
    product_id: str
    sku: str
    options: dict[str, Any]
    price: Money
    available: int


class Product(BaseModel):
    id: str
    name: str
    description: str
    category_id: str
    status: str
    attributes: dict[str, Any]
    image_url: str | None
    variants: list[Variant]
    created_at: Moment
    updated_at: Moment
