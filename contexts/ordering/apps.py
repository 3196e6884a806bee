"""Ordering as a Django app."""

from django.apps import AppConfig


class OrderingConfig(AppConfig):
    """Where ordering's handlers and jobs are declared."""

    name = "contexts.ordering"
    label = "shop_ordering"
    verbose_name = "Ordering"

    def ready(self) -> None:
        """Declare handlers, jobs and payment providers."""
        from contexts.ordering import tasks  # noqa: F401  importing it declares them
        from contexts.ordering.services.providers import offer
        from contexts.ordering.services.providers.fake import FakeProvider

        offer("fake", FakeProvider())
