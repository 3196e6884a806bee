"""`manage.py relay`: hands over what is in the outboxes, tries again what failed, runs the jobs. Several may run."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from shop.events.broker.delivery import make_delivery


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = (
        "Relay events to the broker (or, without one, to the handlers), retry and sweep, for the hosted contexts. "
        "Runs until SIGTERM or SIGINT, which let it finish what it holds."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until told to stop."""
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        delivery = make_delivery(beside_relay=False)
        delivery.start()
        self.stderr.write("relaying")
        stopped.wait()
        delivery.stop()
