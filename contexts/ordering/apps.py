"""Ordering as a Django app."""

from django.apps import AppConfig


class OrderingConfig(AppConfig):
    """Where ordering's handlers, jobs, invariants and figures are declared."""

    name = "contexts.ordering"
    label = "shop_ordering"
    verbose_name = "Ordering"

    def ready(self) -> None:
        """Provide the service; declare handlers, jobs, payment providers, invariants and figures."""
        from contexts.ordering import tasks  # noqa: F401  importing it declares them
        from contexts.ordering.api.personal_data import PersonalDataOfOrdering
        from contexts.ordering.contract import OrderingPersonalData
        from contexts.ordering.services.auditing import declare_invariants
        from contexts.ordering.services.counting import open_payments_by_status, recent_orders_by_status
        from contexts.ordering.services.providers import offer
        from contexts.ordering.services.providers.fake import FakeProvider
        from shop.observability.figures import MOST_ROWS, figure
        from shop.services import provide
        from shop.sharding import aliases_of

        provide(OrderingPersonalData, PersonalDataOfOrdering())
        offer("fake", FakeProvider())
        declare_invariants()
        figure(
            "shop_orders",
            f"Orders of the last 24 hours by the status they have now; the newest {MOST_ROWS} of a database.",
            labels=("status",),
            aliases=lambda: aliases_of("ordering"),
            read=recent_orders_by_status,
        )
        figure(
            "shop_payments_open",
            f"Attempts to pay that are not settled; counted up to {MOST_ROWS}.",
            labels=("status",),
            aliases=lambda: aliases_of("ordering"),
            read=open_payments_by_status,
        )
