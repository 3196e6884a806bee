"""The kernel as a Django app: introduces freshly migrated databases, registers its checks and chores."""

from functools import partial
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate


class ShopConfig(AppConfig):
    """Tables of the kernel, in every database."""

    name = "shop"
    verbose_name = "Kernel"

    def ready(self) -> None:
        """Wire what needs all rooms."""
        from shop.events.figures import declare_figures
        from shop.events.housekeeping import finish_dangling_values
        from shop.events.jobs import chore
        from shop.http.idempotency import forget_old_claims
        from shop.observability.health import readiness
        from shop.sharding.checks import check_relations
        from shop.sharding.databases import hosted_contexts
        from shop.sharding.readiness import databases_ready, migrations_ready

        checks.register(check_relations, checks.Tags.models)
        post_migrate.connect(_introduce, dispatch_uid="shop.introduce")
        readiness("databases", databases_ready)
        readiness("migrations", migrations_ready)
        declare_figures()
        for context in hosted_contexts():
            chore(context, "finish_dangling_values", 10.0, partial(finish_dangling_values, context))
            chore(context, "forget_old_claims", 600.0, partial(forget_old_claims, context))


def _introduce(using: str, app_config: AppConfig, **_: Any) -> None:
    """Tell a database what it is, once the kernel's tables are there; give a home its staff roles."""
    from shop.sharding import context_of_alias, home_of
    from shop.sharding.first_migrate import introduce
    from shop.staff.accounts import ensure_roles

    if app_config.name == "shop":
        introduce(using)
    if app_config.name == "shop.staff" and using == home_of(context_of_alias(using)):
        ensure_roles(using)
