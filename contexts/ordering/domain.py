"""Rules of ordering: which status follows which, what an order costs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from contexts.ordering.contract import (
    CurrencyMismatchError,
    DuplicateLineError,
    OrderLineRequest,
    TotalChangedError,
    TotalTooLargeError,
)
from shop.contract import Fault, Money

HOLD_LASTS_LONGER: Final = timedelta(seconds=900)
"""A reservation outlives its order by this, so that no payment in time meets an expired hold."""
TIME_TO_PAY: Final = timedelta(seconds=900)
"""What remains at least once a payment has begun."""
MAX_LINES: Final = 1_500
"""Of an order, hence of a cart."""
MAX_TOTAL: Final = 10**18
"""In minor units; what the databases' 64 bits hold with room for a sum of sums."""
_NONE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
DECIMALS: Final = {**dict.fromkeys(_NONE.split(), 0), **dict.fromkeys(_THREE.split(), 3)}
"""Of the currencies that have not two, as most do. Source: ISO 4217, list one."""


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING_PAYMENT = "pending_payment"
    PLACED = "placed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PaymentStatus(StrEnum):
    """What an order's payments come to."""

    UNPAID = "unpaid"
    PENDING = "pending"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class FulfilmentStatus(StrEnum):
    """How far the parcel is."""

    UNFULFILLED = "unfulfilled"
    SHIPPED = "shipped"
    DELIVERED = "delivered"


class AttemptStatus(StrEnum):
    """Where one attempt to pay stands."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    CAPTURED = "captured"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_ATTEMPTS: Final = (AttemptStatus.PENDING, AttemptStatus.REQUIRES_ACTION)
LIVE_ATTEMPTS: Final = (*OPEN_ATTEMPTS, AttemptStatus.CAPTURED)
"""Of these an order has one at most, surplus aside."""
_PRECEDENCE: Final = {
    AttemptStatus.PENDING: 0,
    AttemptStatus.REQUIRES_ACTION: 1,
    AttemptStatus.CANCELLED: 2,
    AttemptStatus.FAILED: 2,
    AttemptStatus.CAPTURED: 3,
}


def supersedes(new: AttemptStatus, old: AttemptStatus) -> bool:
    """Whether news of an attempt changes it: reports may come late and in any order, money taken always counts."""
    return _PRECEDENCE[new] > _PRECEDENCE[old]


def payment_status_of(*, captured: int, refunded: int, total: int, attempt_open: bool) -> PaymentStatus:
    """An order's payment status, recomputed from its ledger's sums."""
    if captured and refunded >= captured:
        return PaymentStatus.REFUNDED
    if refunded:
        return PaymentStatus.PARTIALLY_REFUNDED
    if captured >= total:
        return PaymentStatus.PAID
    return PaymentStatus.PENDING if attempt_open else PaymentStatus.UNPAID


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What an order costs, in minor units of one currency. ``line_totals[i]`` belongs to line ``i``."""

    currency: str
    line_totals: tuple[int, ...]
    subtotal: int
    discount_total: int
    shipping_total: int
    tax_total: int
    total: int


def refuse_duplicates(lines: Sequence[OrderLineRequest]) -> None:
    """A variant stands in an order once.

    Raises:
        DuplicateLineError: Every repetition is named.
    """
    seen: set[str] = set()
    faults: list[Fault] = []
    for position, line in enumerate(lines):
        if line.variant_id in seen:
            fault = Fault(
                field=f"lines.{position}",
                code=DuplicateLineError.code,
                detail="this variant is there already",
            )
            faults.append(fault)
        seen.add(line.variant_id)
    if faults:
        raise DuplicateLineError(detail="a variant stands in an order once", faults=tuple(faults))


def totals(quantities: Sequence[int], prices: Sequence[Money]) -> Totals:
    """What ``quantities[i]`` pieces at ``prices[i]`` each cost together.

    Raises:
        CurrencyMismatchError: The prices are of different currencies.
        TotalTooLargeError: Together they pass `MAX_TOTAL`.
    """
    currencies = sorted({price.currency for price in prices})
    if len(currencies) != 1:
        raise CurrencyMismatchError(detail=f"an order has one currency, not {' and '.join(currencies)}")
    line_totals = tuple(quantity * price.amount for quantity, price in zip(quantities, prices, strict=True))
    subtotal = sum(line_totals)
    if subtotal > MAX_TOTAL:
        raise TotalTooLargeError(detail=f"an order costs {MAX_TOTAL} minor units at most")
    return Totals(
        currency=currencies[0],
        line_totals=line_totals,
        subtotal=subtotal,
        discount_total=0,
        shipping_total=0,
        tax_total=0,
        total=subtotal,
    )


def refuse_other_total(expected: Money | None, found: Totals) -> None:
    """The shopper has agreed to a total; it must be this one.

    Raises:
        TotalChangedError: It is another.
    """
    if expected is not None and expected != Money(amount=found.total, currency=found.currency):
        raise TotalChangedError(detail=f"the total is {found.total} {found.currency} now")


def money_text(amount: int, currency: str) -> str:
    """Minor units as people read them: 1299 EUR is ``12.99 EUR``, 1299 JPY is ``1299 JPY``."""
    decimals = DECIMALS.get(currency, 2)
    whole, part = divmod(amount, 10**decimals)
    return f"{whole}.{part:0{decimals}} {currency}" if decimals else f"{whole} {currency}"


def expiry_with_time_to_pay(expires_at: datetime, now: datetime) -> datetime:
    """When an order expires whose payment begins ``now``."""
    return max(expires_at, now + TIME_TO_PAY)


def erased_address(address: Mapping[str, str | None]) -> dict[str, str | None]:
    """An address without anybody in it: only its country stays, which taxes and figures go by."""
    return {name: part if name == "country" else part and "" for name, part in address.items()}


def is_erased(address: Mapping[str, str | None]) -> bool:
    """Whether nothing can be sent there any more."""
    return not address["line1"]
