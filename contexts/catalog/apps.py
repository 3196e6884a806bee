"""Catalog as a Django app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Where catalog's provider meets the registry, and its jobs and invariants are declared."""

    name = "contexts.catalog"
    label = "shop_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Provide the service; declare jobs and invariants."""
        from contexts.catalog import tasks  # noqa: F401  importing it declares them
        from contexts.catalog.contract import CatalogService
        from contexts.catalog.services import Catalog
        from contexts.catalog.services.auditing import declare_invariants
        from shop.services import provide

        provide(CatalogService, Catalog())
        declare_invariants()
