"""What the model is about: orders with their lines, attempts to pay, refunds. Plain values that know no framework.

Each carries the ID under which the shop knows it; the model itself goes by identity.
"""

from dataclasses import dataclass, field

ABSENT, HELD, COMMITTED, EXPIRED, CANCELLED, RETURNED = "", "held", "committed", "expired", "cancelled", "returned"
FINAL = (CANCELLED, RETURNED)
OPEN = ("pending", "requires_action")
LIVE = (*OPEN, "captured")
RANK = {"pending": 0, "requires_action": 1, "cancelled": 2, "failed": 2, "captured": 3}
AMPLE, SHORT, OVER = "ample", "short", "over"


@dataclass(eq=False, kw_only=True)
class Line:
    """So many pieces of a variant, and what became of them in catalog."""

    variant: int
    quantity: int
    price: int = 0
    state: str = ABSENT


@dataclass(eq=False, kw_only=True)
class Hold:
    """Pieces held for an order, whether ordering knows of it or not."""

    id: int
    lines: list[Line]


@dataclass(eq=False, kw_only=True)
class Attempt:
    """One attempt to pay.

    Attributes:
        status: As we know it.
        theirs: As the provider knows it; empty: it never came there.
        number: Attempts come round in the order of these.
        named: Whether the provider knows which payment it is: not where it was closed before it came.
        given_back: Minor units that the provider has given back.
    """

    id: int
    order: "Order"
    token: str
    number: int = 0
    status: str = "pending"
    theirs: str = ""
    named: bool = False
    surplus: bool = False
    given_back: int = 0


@dataclass(eq=False, kw_only=True)
class Refund:
    """Money that goes back."""

    attempt: Attempt
    amount: int
    by_system: bool
    id: int = 0
    status: str = "pending"


@dataclass(eq=False, kw_only=True)
class Order(Hold):
    """An order; without a status it is none yet, or never became one.

    Attributes:
        time: What is left to pay it: `AMPLE`, `SHORT` (a payment moves it out), `OVER`.
        over_since: Orders that are over are expired in this order.
        told: Cancellations and deliveries that were carried out, by the ID of their line in the timeline.
    """

    customer: int
    status: str = ""
    payment_status: str = "unpaid"
    fulfilment: str = "unfulfilled"
    time: str = AMPLE
    over_since: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    shipment: int = 0
    told: set[int] = field(default_factory=set)

    @property
    def total(self) -> int:
        return sum(line.quantity * line.price for line in self.lines)

    def left_of(self, attempt: Attempt) -> int:
        """What was captured by an attempt and is not on its way back."""
        back = sum(each.amount for each in self.refunds if each.attempt is attempt and each.status != "failed")
        return self.total - back if attempt.status == "captured" else 0

    def recompute(self) -> None:
        """The payment status, from what came in and went back by the attempts that count."""
        counting = [each for each in self.attempts if not each.surplus]
        captured = self.total * sum(each.status == "captured" for each in counting)
        refunded = sum(each.amount for each in self.refunds if each.status == "succeeded" and not each.attempt.surplus)
        if captured and refunded >= captured:
            self.payment_status = "refunded"
        elif refunded:
            self.payment_status = "partially_refunded"
        elif captured:
            self.payment_status = "paid"
        else:
            self.payment_status = "pending" if any(each.status in OPEN for each in self.attempts) else "unpaid"


@dataclass(eq=False, kw_only=True)
class Cart:
    """A customer's cart.

    Attributes:
        begun: The order that the first checkout of this version began on.
        emptied_by: The order that was made of it just before, while nothing has changed since.
    """

    customer: int
    lines: dict[int, int] = field(default_factory=dict)
    begun: Order | None = None
    emptied_by: Order | None = None
