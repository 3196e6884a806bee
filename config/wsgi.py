"""The server's entry: the application, and with it the delivery of events and the watch over ended sign-ins."""

import atexit
import multiprocessing
import os
import signal
import threading

from shop.observability.shared_counts import take_place

take_place()

from shop.gateway.wsgi import make_application  # noqa: E402  nothing may count before the place is taken

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = make_application()

from shop.events.broker.delivery import make_delivery  # noqa: E402  models load after the application is set up
from shop.gateway.revocation import RevocationWatch  # noqa: E402  the same
from shop.services.public_keys import KeyWatch  # noqa: E402  the same

delivery = make_delivery(beside_relay=True)
delivery.start()
watch = RevocationWatch()
watch.start()
key_watch = KeyWatch()
key_watch.start()
application.senders.start()
atexit.register(delivery.stop)
atexit.register(watch.stop)


def _stop_after(server: multiprocessing.process.BaseProcess) -> None:
    """A worker whose server was killed would hold the port, and do the jobs, until somebody finds it."""
    server.join()
    os.kill(os.getpid(), signal.SIGTERM)


if server := multiprocessing.parent_process():
    threading.Thread(target=_stop_after, args=(server,), name="server-watch", daemon=True).start()
