"""HTTP of ordering, on django-ninja: schemas in and out, use cases between. `urls` comes in here."""

from ninja import Router

from contexts.ordering.api import cart, orders, webhooks

router = Router()
router.add_router("", cart.router)
router.add_router("", orders.router)
router.add_router("", webhooks.router)

__all__ = ["router"]
