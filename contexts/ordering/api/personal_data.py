"""What ordering answers when it is asked about a customer's data. `apps` provides it."""

from collections.abc import Mapping

from contexts.ordering import services
from contexts.ordering.api.shown import order_json, timeline_json
from contexts.ordering.contract import OrderingPersonalData
from shop.contract import Json
from shop.sharding.public_ids import public_id


class PersonalDataOfOrdering(OrderingPersonalData):
    """Implements `contexts.ordering.contract.OrderingPersonalData`."""

    def export(self, *, customer_id: str) -> Mapping[str, Json]:
        """The cart, and every order with its timeline, newest first."""
        key = int(customer_id)
        cart = services.cart_of(customer_id=key)
        return {
            "cart": {"lines": [{"variant_id": public_id("var", each), "quantity": cart[each]} for each in cart]},
            "orders": [
                {**order_json(each.order), "timeline": timeline_json(each.timeline)["data"]}
                for each in services.every_order_of(customer_id=key)
            ],
        }

    def erase(self, *, customer_id: str) -> None:
        """Whose the orders were, and the cart."""
        services.erase_orders(customer_id=int(customer_id))
