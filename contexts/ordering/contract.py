"""What may be known of ordering: its events, errors and values, and what it stores about a customer."""

from dataclasses import dataclass
from typing import ClassVar

from shop.contract import ConflictError, DeclinedError, Event, InvalidError, MalformedError, PersonalData


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLineRequest:
    """So many pieces of a variant (decimal ID)."""

    variant_id: str
    quantity: int


class DuplicateLineError(InvalidError):
    """A variant stands in an order twice."""

    code = "duplicate_line"


class CurrencyMismatchError(ConflictError):
    """The variants are sold in different currencies."""

    code = "currency_mismatch"


class TotalChangedError(ConflictError):
    """The total is not the one that the shopper agreed to."""

    code = "total_changed"


class TotalTooLargeError(InvalidError):
    """The order costs more than any amount that can be stored or agreed to."""

    code = "total_too_large"


class CartFullError(ConflictError):
    """The cart holds as many lines as an order may have."""

    code = "cart_full"


class CartEmptyError(ConflictError):
    """There is nothing to check out."""

    code = "cart_empty"


class OrderNotPayableError(ConflictError):
    """The order is paid, cancelled or expired."""

    code = "order_not_payable"


class PaymentInProgressError(ConflictError):
    """Another attempt to pay this order is under way."""

    code = "payment_in_progress"


class OrderNotCancellableError(ConflictError):
    """The order is shipped, or dead already."""

    code = "order_not_cancellable"


class InvalidTransitionError(ConflictError):
    """The order's present state does not lead there."""

    code = "invalid_transition"


class RefundExceedsPaymentError(ConflictError):
    """More would go back than was paid and has not gone back yet."""

    code = "refund_exceeds_payment"


class PaymentDeclinedError(DeclinedError):
    """The provider refused the payment; the order stays payable."""

    code = "payment_declined"


class InvalidSignatureError(MalformedError):
    """The webhook is not signed by its provider, or its signature is too old."""

    code = "invalid_signature"


class UnknownProviderError(InvalidError):
    """There is no such payment provider, or it does not know the token."""

    code = "unknown_provider"


class OrderingPersonalData(PersonalData):
    """Carts, and orders with all that happened to them."""

    context = "ordering"
    callers = ("auth",)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent(Event):
    """What every event of an order says."""

    key: ClassVar[str] = "order_id"
    shard_key: ClassVar[str] = "customer_id"

    order_id: str
    customer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCreated(OrderEvent):
    """An order waits for its payment; its pieces are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(OrderEvent):
    """An order is paid: its pieces can be sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(OrderEvent):
    """An order was cancelled; ``reason`` says by what."""

    personal: ClassVar[tuple[str, ...]] = ("reason",)

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired(OrderEvent):
    """An order was not paid in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefunded(OrderEvent):
    """Money of an order went back."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShipped(OrderEvent):
    """An order is on its way."""

    carrier: str
    tracking_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivered(OrderEvent):
    """An order has arrived."""
