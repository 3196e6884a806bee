"""Catalog as a Django app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Where catalog's providers meet the registry, and its handlers, jobs and invariants are declared."""

    name = "contexts.catalog"
    label = "shop_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Provide the services; declare handlers, jobs and invariants."""
        from contexts.catalog import tasks  # noqa: F401  importing it declares them
        from contexts.catalog.api.personal_data import PersonalDataOfCatalog
        from contexts.catalog.contract import CatalogPersonalData, CatalogService
        from contexts.catalog.services import Catalog
        from contexts.catalog.services.auditing import declare_invariants
        from shop.services import provide

        provide(CatalogService, Catalog())
        provide(CatalogPersonalData, PersonalDataOfCatalog())
        declare_invariants()
