"""Auth as a Django app."""

from django.apps import AppConfig


class AuthConfig(AppConfig):
    """Where auth's provider meets the registry, and its handlers and jobs are declared."""

    name = "contexts.auth"
    label = "shop_auth"
    verbose_name = "Auth"
