"""Delivery as the settings have it: here, over the broker, or over HTTP to contexts that live elsewhere.

The server and `manage.py relay` come in.
"""

from django.conf import settings

from shop.events.apart import Neighbours
from shop.events.embedded import Embedded


def make_delivery(*, beside_relay: bool) -> Embedded:
    """The delivery threads of this process.

    Args:
        beside_relay: With a broker, somebody runs `manage.py relay`, which does all but handing over what this process
            publishes.
    """
    if not settings.BROKER_URL:
        return Embedded(carriers=(lambda: Neighbours().send) if settings.CONTEXT_URLS else None)
    from shop.events.broker.app import make_app  # noqa: PLC0415  Celery takes 0.3 s to load, and most shops have none
    from shop.events.broker.sending import Sender  # noqa: PLC0415  the same

    app = make_app()
    return Embedded(carriers=lambda: Sender(app).send, net=not beside_relay)
