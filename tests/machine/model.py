"""The model: what a shop with one thread, one table and no crash would do. Every step says how it ends.

A step ends with ``ok`` or with the code of its refusal; ``killed`` where the process is gone in the middle of it.
"""

from tests.machine.shelf import FINE
from tests.machine.things import OVER, Cart, Order
from tests.machine.till import AWAY, DEAD, KILLED, PLACED, Event, Till


class Model(Till):
    """Orders and carts above till and shelf. ``waiting[i]`` are events of shard ``i`` whose handler has failed."""

    def __init__(self, shard_of: list[int], customers: int) -> None:
        super().__init__(shard_of, customers)
        self.carts = [Cart(customer=number) for number in range(customers)]
        self.waiting: list[list[Event]] = [[] for _ in self.carts]

    def overdue(self) -> list[Order]:
        """In the order in which they became so."""
        over = [each for each in self.orders if each.status == "pending_payment" and each.time == OVER]
        return sorted(over, key=lambda each: each.over_since)

    def undelivered(self) -> list[int]:
        """Shards with events that have not reached their handler."""
        return [shard for shard in range(len(self.bound)) if self.bound[shard] or self.waiting[shard]]

    # ---- ordering ----------------------------------------------------------------------------------------------

    def place(self, order: Order, agreed: bool, killed: bool) -> str:
        if order.status:
            return FINE
        if (refusal := self.reserve(order)) != FINE:
            return refusal
        if not agreed:
            self.cancel(order)
            return "total_changed"
        if killed:
            return KILLED
        order.status = "pending_payment"
        self.orders.append(order)
        return FINE

    def put(self, cart: Cart, variant: int, quantity: int) -> str:
        if cart.lines.get(variant, 0) != quantity:
            cart.lines[variant] = quantity
            if not quantity:
                del cart.lines[variant]
            cart.begun = cart.emptied_by = None
        return FINE

    def check_out(self, cart: Cart, candidate: Order, agreed: bool, killed: bool) -> str:
        """``candidate`` is the order this makes unless an earlier checkout of the version began on another."""
        if not cart.lines:
            waits = cart.emptied_by is not None and cart.emptied_by.status == "pending_payment"
            return FINE if waits else "cart_empty"
        order = cart.begun = cart.begun or candidate
        ended = self.place(order, agreed, killed)
        if ended == FINE:
            cart.lines, cart.begun, cart.emptied_by = {}, None, order
        elif ended == "total_changed":
            cart.begun = None
        return ended

    def cancel_order(self, order: Order, entry: int, away: bool) -> str:
        if not order.status:
            return "not_found"
        if away and self.open_of(order):
            return AWAY
        self.close_all(order)
        if entry in order.told:
            return FINE
        if order.status not in ("pending_payment", "placed") or order.fulfilment != "unfulfilled":
            return "order_not_cancellable"
        self._kill(order)
        order.told.add(entry)
        return FINE

    def _kill(self, order: Order) -> None:
        for attempt in order.attempts:
            if attempt.status == "captured" and not attempt.surplus:
                self.owe(order, attempt)
        order.status = "cancelled"
        self.bound[order.customer].append((DEAD, order))

    def pass_time(self, order: Order, time: str) -> str:
        """Let little or nothing be left of an order's time."""
        if order.status == "pending_payment":
            order.time, order.over_since = time, self.tick()
        return FINE

    def expire_overdue(self, away: bool) -> str:
        ended = FINE
        for order in self.overdue():
            if away and self.open_of(order):
                ended = AWAY
                continue
            self.close_all(order)
            if order.status == "pending_payment":
                order.status = "expired"
                self.bound[order.customer].append((DEAD, order))
        return ended

    # ---- parcels -----------------------------------------------------------------------------------------------

    def ship(self, order: Order, shipment: int) -> str:
        if not order.status:
            return "not_found"
        if order.fulfilment == "unfulfilled":
            self.handle(PLACED, order)  # nothing is sent before its pieces are sold
        if order.shipment != shipment:
            if order.status != "placed" or order.fulfilment != "unfulfilled":
                return "invalid_transition"
            order.fulfilment, order.shipment = "shipped", shipment
        return FINE

    def deliver(self, order: Order, entry: int) -> str:
        if not order.status:
            return "not_found"
        if entry not in order.told:
            if order.fulfilment != "shipped":
                return "invalid_transition"
            order.fulfilment = "delivered"
            order.told.add(entry)
        return FINE

    def complete(self) -> str:
        for order in self.orders:
            if order.status == "placed" and order.fulfilment == "delivered":
                order.status = "completed"
        return FINE

    # ---- events ------------------------------------------------------------------------------------------------

    def hand_over(self, shard: int, catalog_away: bool) -> str:
        """Every event of a shard to its handler, then once more those that had failed before."""
        bound, self.bound[shard] = self.bound[shard], []
        again, self.waiting[shard] = self.waiting[shard], []
        for kind, order in (*bound, *again):
            calls = kind == DEAD or order.status in ("placed", "completed")
            if catalog_away and calls:
                self.waiting[shard].append((kind, order))
            else:
                self.handle(kind, order)
        return FINE

    def handle(self, kind: str, order: Order) -> str:
        """What an event means for the order's pieces, once or once more."""
        if kind == DEAD:
            return self.cancel(order)
        if order.status not in ("placed", "completed") or self.commit(order) == FINE:
            return FINE
        if order.status == "placed" and order.fulfilment == "unfulfilled":
            self._kill(order)  # what it held had expired, and the pieces are gone
        return FINE
