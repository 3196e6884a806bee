"""The server's entry: the application, and with it the embedded delivery of events."""

import atexit
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()


def _start_delivery() -> None:
    from shop.events.embedded import Embedded

    delivery = Embedded()
    delivery.start()
    atexit.register(delivery.stop)


_start_delivery()
