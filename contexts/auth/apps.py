"""Auth as a Django app."""

from django.apps import AppConfig


class AuthConfig(AppConfig):
    """Where auth's provider meets the registry, and its handlers and jobs are declared."""

    name = "contexts.auth"
    label = "shop_auth"
    verbose_name = "Auth"

    def ready(self) -> None:
        """Provide the service, declare the jobs."""
        from contexts.auth import tasks  # noqa: F401  importing declares them
        from contexts.auth.contract import AuthService
        from contexts.auth.services import Auth
        from shop.services import provide

        provide(AuthService, Auth())
