"""The model's till: attempts to pay, what the provider makes of them, and money that goes back."""

from tests.machine.shelf import FINE, Shelf
from tests.machine.things import AMPLE, LIVE, OPEN, RANK, SHORT, Attempt, Order, Refund

OUTCOME = {
    "tok_ok": "captured",
    "tok_declined": "failed",
    "tok_action": "requires_action",
    "tok_timeout": "captured",
    "tok_slow": "captured",
}
KILLED, AWAY = "killed", "provider_away"
PLACED, DEAD = "placed", "dead"

type Event = tuple[str, Order]


class Till(Shelf):
    """Orders as they are paid; customer ``i`` lies on ordering's shard ``i``.

    Attributes:
        bound: ``bound[i]`` are events of shard ``i`` that are not handed over yet: which order was placed, or is dead.
        reports: Of the provider, by event; ``stored`` are those that are not applied yet.
    """

    def __init__(self, shard_of: list[int], customers: int) -> None:
        super().__init__(shard_of)
        self.orders: list[Order] = []
        self.bound: list[list[Event]] = [[] for _ in range(customers)]
        self.reports: dict[str, Attempt] = {}
        self.stored: list[Attempt] = []
        self.clock = 0

    def attempts(self) -> list[Attempt]:
        """All there are, in the order in which they began."""
        return sorted((each for order in self.orders for each in order.attempts), key=lambda each: each.number)

    def unsettled(self) -> list[Attempt]:
        return [each for each in self.attempts() if each.status in OPEN]

    def owed(self) -> list[Refund]:
        refunds = [each for order in self.orders for each in order.refunds]
        return [each for each in refunds if each.status == "pending"]

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def pay(self, attempt: Attempt, lost: bool, killed: bool) -> str:
        """``lost``: what we ask never reaches the provider; ``killed``: its answer meets nobody."""
        order = attempt.order
        if not order.status:
            return "not_found"
        if order.status == "pending_payment" and order.time != AMPLE and self.reserve(order) != FINE:
            return "order_not_payable"
        if attempt not in order.attempts and (refusal := self._begin(order, attempt, lost)):
            return refusal
        answer = self._ask(attempt, lost)
        if killed:
            return KILLED
        self.settle(attempt, answer)
        return {"failed": "payment_declined", "cancelled": "order_not_payable"}.get(attempt.status, FINE)

    def _begin(self, order: Order, attempt: Attempt, away: bool) -> str:
        for other in order.attempts:
            if order.status == "pending_payment" and other.status == "requires_action":
                if away:
                    return AWAY
                self._close(other)
        if order.status != "pending_payment":
            return "order_not_payable"
        if self.open_of(order):
            return "payment_in_progress"
        attempt.number = self.tick()
        order.attempts.append(attempt)
        order.time = AMPLE if order.time == AMPLE else SHORT
        order.payment_status = "pending"
        return ""

    def _ask(self, attempt: Attempt, lost: bool) -> str:
        if attempt.status not in OPEN or lost:
            return ""
        if attempt.status == "pending" and not attempt.theirs:
            attempt.theirs, attempt.named = OUTCOME[attempt.token], True
        return "" if attempt.status == "pending" and attempt.token == "tok_timeout" else attempt.theirs

    def settle(self, attempt: Attempt, theirs: str) -> None:
        order = attempt.order
        if not theirs or RANK[theirs] <= RANK[attempt.status]:
            return
        rivals = [each for each in order.attempts if each is not attempt and each.status in LIVE and not each.surplus]
        takes = theirs == "captured" and order.status == "pending_payment" and not rivals
        attempt.status, attempt.surplus = theirs, theirs == "captured" and not takes
        if attempt.surplus:
            self.owe(order, attempt)
        order.recompute()
        if takes:
            order.status = "placed"
            self.bound[order.customer].append((PLACED, order))

    def open_of(self, order: Order) -> list[Attempt]:
        return [each for each in order.attempts if each.status in OPEN]

    def close_all(self, order: Order) -> None:
        for attempt in self.open_of(order):
            self._close(attempt)

    def _close(self, attempt: Attempt) -> None:
        if not attempt.theirs or RANK[attempt.theirs] < RANK["cancelled"]:
            attempt.theirs = "cancelled"
        self.settle(attempt, attempt.theirs)

    def finish(self, attempt: Attempt, status: str) -> str:
        """The provider's customer does something, or its bank."""
        if not attempt.named:
            return "not_found"
        if RANK[status] > RANK[attempt.theirs]:
            attempt.theirs = status
        return FINE

    def report(self, attempt: Attempt, event: str) -> str:
        if attempt in attempt.order.attempts and event not in self.reports:
            self.reports[event] = attempt
            self.stored.append(attempt)
        return FINE

    def apply_reports(self) -> str:
        stored, self.stored = self.stored, []
        for attempt in stored:
            self.settle(attempt, attempt.theirs)
        return FINE

    def reconcile(self, attempts: list[Attempt], old: bool, away: bool) -> str:
        """``attempts`` in the order in which they come round; unseen ones are closed when they are ``old``."""
        waiting = [each for each in attempts if each.status in OPEN]
        if away:
            return AWAY if waiting else FINE
        for attempt in waiting:
            if attempt.theirs:
                self.settle(attempt, attempt.theirs)
            elif old:
                self._close(attempt)
        return FINE

    def owe(self, order: Order, attempt: Attempt) -> None:
        known = any(each.attempt is attempt and each.by_system for each in order.refunds)
        if (left := order.left_of(attempt)) and not known:
            order.refunds.append(Refund(attempt=attempt, amount=left, by_system=True))

    def refund(self, order: Order, amount: int | None, refund_id: int) -> str:
        if not order.status:
            return "not_found"
        if any(each.id == refund_id for each in order.refunds):
            return FINE
        captured = sorted((each for each in order.attempts if each.status == "captured"), key=lambda each: each.surplus)
        attempt = next((each for each in captured if order.left_of(each)), None)
        if attempt is None or (amount or 0) > order.left_of(attempt):
            return "refund_exceeds_payment"
        back = amount or order.left_of(attempt)
        order.refunds.append(Refund(attempt=attempt, amount=back, by_system=False, id=refund_id))
        return FINE

    def give_back(self, away: bool) -> str:
        if away:
            return AWAY if self.owed() else FINE
        for refund in self.owed():
            refund.status = "succeeded"
            refund.attempt.given_back += refund.amount
            refund.attempt.order.recompute()
        return FINE
