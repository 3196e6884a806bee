"""Ordering's hot reads as SQL: orders and carts whole. `services` run them."""

from typing import Final

from shop.sharding.statements import Statement

ORDER: Final = (
    "id", "customer_id", "status", "payment_status", "fulfilment_status", "currency", "subtotal", "discount_total",
    "shipping_total", "tax_total", "total", "shipping_address", "expires_at", "created_at", "placed_at", "updated_at",
)  # fmt: skip
LINE: Final = ("position", "variant_id", "product_id", "sku", "name", "quantity", "unit_price", "total")
PAYMENT: Final = ("id", "order_id", "provider", "status", "amount", "currency", "failure_code", "created_at")
REFUND: Final = ("id", "amount", "reason", "status", "created_at")
SHIPMENT: Final = ("id", "carrier", "tracking_number", "created_at", "delivered_at")


def _part(table: str, columns: tuple[str, ...]) -> str:
    return f"(SELECT json_group_array(json_array({', '.join(columns)})) FROM {table} WHERE order_id = o.id)"


ORDERS: Final = Statement.shared(f"""
    SELECT {", ".join(f"o.{column}" for column in ORDER)},
           {_part("shop_ordering_orderline", LINE)},
           {_part("shop_ordering_payment", PAYMENT)},
           {_part("shop_ordering_refund", REFUND)},
           {_part("shop_ordering_shipment", SHIPMENT)}
    FROM shop_ordering_order o
    WHERE o.id IN (SELECT value FROM json_each(%(ids)s))
""")
"""Orders ``ids`` of one shard, whole: columns `ORDER`, then lines, payments, refunds and shipments as lists."""

CART: Final = Statement.shared("""
    SELECT c.id, c.version,
           (SELECT json_group_array(json_array(l.id, l.variant_id, l.quantity))
            FROM shop_ordering_cartline l WHERE l.cart_id = c.id)
    FROM shop_ordering_cart c
    WHERE c.customer_id = %(customer_id)s
""")
"""A customer's cart: its lines are the last column, a list."""
