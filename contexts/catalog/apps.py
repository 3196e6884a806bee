"""Catalog as a Django app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Where catalog's provider meets the registry, and its handlers and jobs are declared."""

    name = "contexts.catalog"
    label = "shop_catalog"
    verbose_name = "Catalog"
