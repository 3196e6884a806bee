"""The bench as a Django app: its handler is known wherever the shop starts under `scripts.benches.events.settings`."""

from django.apps import AppConfig


class EventsBench(AppConfig):
    """No models: its handler alone."""

    name = "scripts.benches.events"
    label = "bench_events"

    def ready(self) -> None:
        """Subscribe the handler."""
        from scripts.benches.events import handling  # noqa: F401, PLC0415  importing it subscribes
