"""Use cases of ordering. `api`, `tasks` and `management` come in here, by these names."""

from contexts.ordering.services.cancelling import cancel_order
from contexts.ordering.services.carts import CartLineView, CartView, clear_cart, put_line, show_cart
from contexts.ordering.services.checking_out import checkout
from contexts.ordering.services.counting import waiting_for_providers
from contexts.ordering.services.erasing import erase_orders
from contexts.ordering.services.expiring import expire_overdue_orders
from contexts.ordering.services.exporting import OrderWithTimeline, cart_of, every_order_of
from contexts.ordering.services.fulfilling import commit_stock, release_stock
from contexts.ordering.services.listening import apply_webhooks, receive_webhook
from contexts.ordering.services.mailing import (
    PLACED,
    REFUNDED,
    SHIPPED,
    mail_placed,
    mail_refunded,
    mail_shipped,
    write_to_customer,
)
from contexts.ordering.services.paying import pay
from contexts.ordering.services.placing import NewOrder, place_order
from contexts.ordering.services.providers.fake_acting import NotDelivered, fake_payments, finish_fake_payment
from contexts.ordering.services.reading import (
    OrderFilter,
    TimelineView,
    get_order,
    orders_of_customer,
    orders_of_shop,
    timeline_of,
)
from contexts.ordering.services.reconciling import reconcile_payments
from contexts.ordering.services.refunding import give_money_back, request_refund
from contexts.ordering.services.shipping import complete_delivered_orders, deliver, ship
from contexts.ordering.services.views import LineView, OrderView, PaymentView, RefundView, ShipmentView

__all__ = [
    "PLACED",
    "REFUNDED",
    "SHIPPED",
    "CartLineView",
    "CartView",
    "LineView",
    "NewOrder",
    "NotDelivered",
    "OrderFilter",
    "OrderView",
    "OrderWithTimeline",
    "PaymentView",
    "RefundView",
    "ShipmentView",
    "TimelineView",
    "apply_webhooks",
    "cancel_order",
    "cart_of",
    "checkout",
    "clear_cart",
    "commit_stock",
    "complete_delivered_orders",
    "deliver",
    "erase_orders",
    "every_order_of",
    "expire_overdue_orders",
    "fake_payments",
    "finish_fake_payment",
    "get_order",
    "give_money_back",
    "mail_placed",
    "mail_refunded",
    "mail_shipped",
    "orders_of_customer",
    "orders_of_shop",
    "pay",
    "place_order",
    "put_line",
    "receive_webhook",
    "reconcile_payments",
    "release_stock",
    "request_refund",
    "ship",
    "show_cart",
    "timeline_of",
    "waiting_for_providers",
    "write_to_customer",
]
