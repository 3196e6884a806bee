"""Events that ordering handles, its jobs, and the letters it writes."""

from collections.abc import Mapping
from typing import Any

from contexts.auth.contract import CustomerErased, SessionsRevoked
from contexts.ordering import services
from contexts.ordering.contract import OrderCancelled, OrderExpired, OrderPlaced, OrderRefunded, OrderShipped
from shop.events import every, on
from shop.gateway.revocation import refuse_sessions
from shop.mail import Letter, letter
from shop.privacy import erase_customer


@on(SessionsRevoked, atomic=False)
def refuse_tokens_on_sessions_revoked(event: SessionsRevoked) -> None:
    """Sign-ins that were ended: on the deny-list."""
    refuse_sessions("ordering", event.session_ids)


@on(CustomerErased, atomic=False)
def erase_on_customer_erased(event: CustomerErased) -> None:
    """Orders lose what says whose they were; what has not left is cancelled, and the money goes back."""
    erase_customer("ordering", event.customer_id)


@on(OrderPlaced, atomic=False)
def commit_stock_on_order_placed(event: OrderPlaced) -> None:
    """Sell what the order holds."""
    services.commit_stock(order_id=int(event.order_id))


@on(OrderCancelled, atomic=False)
def release_stock_on_order_cancelled(event: OrderCancelled) -> None:
    """Give back what the order holds or has bought."""
    services.release_stock(order_id=int(event.order_id))


@on(OrderExpired, atomic=False)
def release_stock_on_order_expired(event: OrderExpired) -> None:
    """Give back what the order holds."""
    services.release_stock(order_id=int(event.order_id))


@on(OrderPlaced)
def mail_on_order_placed(event: OrderPlaced) -> None:
    """Tell the customer."""
    services.mail_placed(event)


@on(OrderShipped)
def mail_on_order_shipped(event: OrderShipped) -> None:
    """Tell the customer how it comes."""
    services.mail_shipped(event)


@on(OrderRefunded)
def mail_on_order_refunded(event: OrderRefunded) -> None:
    """Tell the customer how much comes back."""
    services.mail_refunded(event)


@letter
def order_placed(about: int, facts: Mapping[str, Any]) -> Letter | None:
    return services.write_to_customer(services.PLACED, about, facts)


@letter
def order_shipped(about: int, facts: Mapping[str, Any]) -> Letter | None:
    return services.write_to_customer(services.SHIPPED, about, facts)


@letter
def order_refunded(about: int, facts: Mapping[str, Any]) -> Letter | None:
    return services.write_to_customer(services.REFUNDED, about, facts)


@every(seconds=5)
def expire_overdue_orders() -> None:
    """Orders that were not paid in time."""
    services.expire_overdue_orders()


@every(seconds=5)
def reconcile_payments() -> None:
    """Attempts whose answer or webhook never came."""
    services.reconcile_payments()


@every(seconds=2, at_once=True)
def apply_webhooks() -> None:
    """What providers reported."""
    services.apply_webhooks()


@every(seconds=5)
def give_money_back() -> None:
    """Refunds that wait."""
    services.give_money_back()


@every(seconds=5)
def complete_delivered_orders() -> None:
    """Orders that nobody can send back any more."""
    services.complete_delivered_orders()
