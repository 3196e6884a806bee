"""Catalog as a Django app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Where catalog's provider meets the registry, and its handlers and jobs are declared."""

    name = "contexts.catalog"
    label = "shop_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Provide the service; importing `tasks` declares the jobs."""
        from contexts.catalog import tasks  # noqa: F401  importing it declares them
        from contexts.catalog.contract import CatalogService
        from contexts.catalog.services import Catalog
        from shop.services import provide

        provide(CatalogService, Catalog())
