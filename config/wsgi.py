"""The server's entry: the application, and with it the embedded delivery of events."""

import atexit
import os

from shop.gateway.wsgi import make_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = make_application()

from shop.events.embedded import Embedded  # noqa: E402  models load after the application is set up

delivery = Embedded()
delivery.start()
atexit.register(delivery.stop)
