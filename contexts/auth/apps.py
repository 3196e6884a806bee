"""Auth as a Django app."""

from django.apps import AppConfig


class AuthConfig(AppConfig):
    """Where auth's providers meet the registry, and its handlers and jobs are declared."""

    name = "contexts.auth"
    label = "shop_auth"
    verbose_name = "Auth"

    def ready(self) -> None:
        """Provide the services, declare handlers and jobs."""
        from contexts.auth import tasks  # noqa: F401  importing declares them
        from contexts.auth.api.personal_data import PersonalDataOfAuth
        from contexts.auth.contract import AuthPersonalData, AuthService
        from contexts.auth.services import Auth, end_staff_sign_ins
        from shop.services import provide
        from shop.staff.models import on_locked_out

        provide(AuthService, Auth())
        provide(AuthPersonalData, PersonalDataOfAuth())
        on_locked_out.append(end_staff_sign_ins)
