"""The server's entry: the application, and with it the embedded delivery of events."""

import atexit
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from shop.events.embedded import Embedded  # noqa: E402  models load after the application is set up

delivery = Embedded()
delivery.start()
atexit.register(delivery.stop)
