"""HTTP of ordering, on django-ninja: schemas in and out, use cases between. `urls` comes in here."""

from ninja import Router

from contexts.ordering.api import cart, orders

router = Router()
router.add_router("", cart.router)
router.add_router("", orders.router)

__all__ = ["router"]
