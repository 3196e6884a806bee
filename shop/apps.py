"""The kernel as a Django app: introduces freshly migrated databases, registers its checks and chores."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db import connections
from django.db.migrations import Migration
from django.db.models.signals import post_migrate, pre_migrate


class ShopConfig(AppConfig):
    """Tables of the kernel, in every database."""

    name = "shop"
    verbose_name = "Kernel"

    def ready(self) -> None:
        """Wire what needs all rooms."""
        from shop.events.figures import declare_figures
        from shop.gateway.proxy.readiness import declare_contexts
        from shop.invariants.events import declare_events
        from shop.invariants.placement import declare_placement
        from shop.mail.figures import declare_mails
        from shop.services.contracts.handshake import declare_handshake
        from shop.sharding.map_watch import watch_maps
        from shop.sharding.readiness import declare_readiness

        _register_checks()
        pre_migrate.connect(_make_way, dispatch_uid="shop.make_way")
        post_migrate.connect(_introduce, dispatch_uid="shop.introduce")
        declare_readiness()
        declare_handshake()
        declare_contexts()
        watch_maps()
        declare_figures()
        declare_events()
        declare_placement()
        declare_mails()
        _declare_chores()


def _register_checks() -> None:
    from shop.events.checks import check_handlers
    from shop.privacy.checks import check_personal_data
    from shop.sharding.checks import check_fences, check_relations

    checks.register(check_relations, checks.Tags.models)
    checks.register(check_personal_data)
    checks.register(check_fences, checks.Tags.database)
    checks.register(check_handlers, checks.Tags.database)


def _declare_chores() -> None:
    """What every hosted context needs, whatever it does."""
    from shop.events.housekeeping import finish_dangling_values
    from shop.events.jobs import chore
    from shop.events.retention import forget_old_events
    from shop.gateway.revocation import forget_revoked_sessions
    from shop.http.idempotency import forget_old_claims
    from shop.mail.sending import forget_mails, send_mails
    from shop.privacy.erasing import erase_again
    from shop.sharding.databases import hosted_contexts

    for context in hosted_contexts():
        chore(context, "finish_dangling_values", 10.0, partial(finish_dangling_values, context))
        chore(context, "forget_old_claims", 600.0, partial(forget_old_claims, context))
        chore(context, "erase_again", 30.0, partial(erase_again, context))
        chore(context, "forget_mails", 3600.0, partial(forget_mails, context))
        chore(context, "forget_old_events", 30.0, partial(forget_old_events, context))
        chore(context, "forget_revoked_sessions", 60.0, partial(forget_revoked_sessions, context))
        chore(context, "send_mails", 2.0, partial(send_mails, context), at_once=True, slow=True)


def _make_way(using: str, app_config: AppConfig, plan: Sequence[tuple[Migration, bool]], **_: Any) -> None:
    """SQLite changes a table by making it anew, which a trigger that asks the table of slices does not survive."""
    from shop.sharding.fencing import remove_fence

    of_kernel = app_config.name == "shop" and any(migration.app_label == "shop" for migration, _ in plan)
    if of_kernel and connections[using].vendor == "sqlite":
        remove_fence(using)


def _introduce(using: str, app_config: AppConfig, **_: Any) -> None:
    """Tell a database what it is, once the kernel's tables are there; give a home its staff roles.

    The fence comes last: where it stands, the first migration was not interrupted.
    """
    from shop.sharding import context_of_alias, home_of
    from shop.sharding.fencing import install_fence
    from shop.sharding.first_migrate import introduce
    from shop.staff.accounts import ensure_roles

    if app_config.name == "shop":
        introduce(using)
    if app_config.name == "shop.staff" and using == home_of(context_of_alias(using)):
        ensure_roles(using)
    if app_config == [each for each in apps.get_app_configs() if each.models_module is not None][-1]:
        install_fence(using)
