"""Ordering as a Django app."""

from django.apps import AppConfig


class OrderingConfig(AppConfig):
    """Where ordering's provider meets the registry, and its handlers and jobs are declared."""

    name = "contexts.ordering"
    label = "shop_ordering"
    verbose_name = "Ordering"
