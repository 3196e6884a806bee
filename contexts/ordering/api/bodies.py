"""Requests of ordering, as the API promises to take them."""

from typing import Annotated

from pydantic import Field

from contexts.ordering.domain import MAX_LINES, MAX_TOTAL
from shop.http.ninja import Body, Country, Currency, Note, PublicId, Text, public_id_of

MAX_QUANTITY = 1_000_000


class LineIn(Body):
    """So many pieces of a variant."""

    variant_id: Annotated[PublicId, public_id_of("var")]
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)]


class ShippingAddressIn(Body):
    """Where an order goes; the country by its ISO 3166-1 alpha-2 code."""

    name: Text
    line1: Text
    line2: Text | None = None
    city: Text
    region: Text | None = None
    postal_code: Annotated[Text, Field(max_length=20)]
    country: Country


class MoneyIn(Body):
    """Integer minor units and an ISO 4217 code."""

    amount: Annotated[int, Field(ge=0, le=MAX_TOTAL)]
    currency: Currency


class OrderIn(Body):
    """`POST /orders`."""

    lines: Annotated[list[LineIn], Field(min_length=1, max_length=MAX_LINES)]
    shipping_address: ShippingAddressIn
    expected_total: MoneyIn | None = None


class CheckoutIn(Body):
    """`POST /cart/checkout`."""

    shipping_address: ShippingAddressIn
    expected_total: MoneyIn | None = None


class QuantityIn(Body):
    """`PUT /cart/lines/{variant_id}`; 0 removes the line."""

    quantity: Annotated[int, Field(ge=0, le=MAX_QUANTITY)]


class PaymentIn(Body):
    """`POST /orders/{id}/payments`."""

    provider: Text
    token: Text


class CancelIn(Body):
    """`POST /orders/{id}/cancel`."""

    reason: Note | None = None


class ShipmentIn(Body):
    """`POST /orders/{id}/shipments`."""

    carrier: Annotated[Text, Field(max_length=100)]
    tracking_number: Annotated[Text, Field(max_length=100)]


class RefundIn(Body):
    """`POST /orders/{id}/refunds`; without an amount all that is left."""

    amount: MoneyIn | None = None
    reason: Note
