"""Cancelling an order: nothing shipped, open attempts closed first, and what was paid goes back."""

from collections.abc import Callable
from typing import Final

from contexts.ordering import domain
from contexts.ordering.contract import OrderCancelled, OrderNotCancellableError
from contexts.ordering.domain import AttemptStatus, FulfilmentStatus, OrderStatus
from contexts.ordering.models import Order, Payment
from contexts.ordering.services.reading import get_order, view_of
from contexts.ordering.services.settling import close_attempts, owe
from contexts.ordering.services.telling import tell, was_told
from contexts.ordering.services.views import OrderView
from shop.contract import Principal, UnavailableError
from shop.sharding import shard_atomic

ROUNDS: Final = 3


def cancel_order(
    *, entry_id: int, order_id: int, caller: Principal, reason: str, within_effect: Callable[[OrderView], None]
) -> OrderView:
    """Cancel an order of which nothing is shipped, for its customer or the order desk.

    Emits: OrderCancelled; its handler gives the pieces back. Database: the order's shard; the provider is asked before.
    Safe to repeat: by ``entry_id``, the ID of its line in the timeline.

    Raises:
        NotFoundError: There is no such order of this caller.
        OrderNotCancellableError: It is shipped, or dead already.
        UnavailableError: Attempts to pay it keep beginning, or one can't be closed: its provider is away.
    """
    get_order(order_id=order_id, reader=caller)
    for _ in range(ROUNDS):
        close_attempts(order_id)
        with shard_atomic("ordering", order_id):
            order = Order.objects.select_for_update().get(pk=order_id)
            if was_told(entry_id):
                return view_of(order)
            alive = order.status in (OrderStatus.PENDING_PAYMENT, OrderStatus.PLACED)
            if not alive or order.fulfilment_status != FulfilmentStatus.UNFULFILLED:
                raise OrderNotCancellableError(detail=f"the order is {order.status} and {order.fulfilment_status}")
            if Payment.objects.filter(order_id=order_id, status__in=domain.OPEN_ATTEMPTS).exists():
                continue  # an attempt began meanwhile: start over
            cancel_locked(order, reason, entry_id=entry_id)
            view = view_of(order)
            within_effect(view)
        return view
    raise UnavailableError(detail="the order is being paid; try again")


def cancel_locked(order: Order, reason: str, *, entry_id: int | None = None) -> None:
    """Cancel an order whose row the open transaction holds; what was captured is owed back."""
    for payment in Payment.objects.filter(order_id=order.pk, status=AttemptStatus.CAPTURED, surplus=False):
        owe(order, payment, reason)
    order.status = OrderStatus.CANCELLED
    order.cancel_reason = reason
    tell(order, OrderCancelled, entry_id=entry_id, reason=reason)
