"""Django's database router: strict. What nobody routed is an error, never a guess. Named in the settings."""

from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db.models import Model

from shop.sharding.databases import context_of_alias, home_of, hosted_contexts, owner_of
from shop.sharding.errors import ShardKeyMissing
from shop.sharding.ids import bucket_of
from shop.sharding.models import KernelModel
from shop.sharding.shard_map import alias_of
from shop.sharding.sharded import (
    HomeModel,
    ShardedModel,
    context_of_model,
    home_of_model,
    scope_alias,
)

STAFF_LABELS: Final = frozenset({"shop_staff", "auth", "contenttypes", "sessions", "admin"})


def staff_home() -> str:
    """Home whose staff tables this process uses: the truth's where it is hosted, else the first context's."""
    contexts = hosted_contexts()
    return home_of(settings.STAFF_CONTEXT if settings.STAFF_CONTEXT in contexts else contexts[0])


class ContextRouter:
    """A context's tables to its databases, staff tables to a home, kernel tables nowhere without `.using`."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        """Alias to read ``model`` from."""
        if issubclass(model, ShardedModel):
            return _alias_near(hints.get("instance"), model)
        return self._unsharded(model)

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        """Alias to write ``model`` to. Django asks this also where it only relates rows; writes check the scope."""
        if issubclass(model, ShardedModel):
            return _alias_near(hints["instance"], model) if hints.get("instance") else scope_alias(model)
        return self._unsharded(model)

    def _unsharded(self, model: type[Model]) -> str:
        if model._meta.app_label in STAFF_LABELS:
            return staff_home()
        if issubclass(model, KernelModel):
            raise ShardKeyMissing(f"{model.__name__} lives in many databases: say `.using(alias)`")
        return home_of_model(model)

    def allow_relation(self, left: Model, right: Model, **hints: Any) -> bool:
        """Rows may refer to each other within one app only, staff's apps counting as one, and within one bucket."""
        labels = {left._meta.app_label, right._meta.app_label}
        if isinstance(left, ShardedModel) and isinstance(right, ShardedModel) and None not in (left.pk, right.pk):
            return len(labels) == 1 and bucket_of(left.pk) == bucket_of(right.pk)
        return len(labels) == 1 or labels <= STAFF_LABELS

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool:
        """Tables of a context on its databases, home-only ones and staff's on the home, kernel tables everywhere."""
        is_home = db == home_of(context_of_alias(db))
        if app_label in STAFF_LABELS:
            return is_home
        owner = owner_of(app_label)
        if app_label != "shop" and owner != context_of_alias(db):
            return False
        return is_home or not _home_only(app_label, model_name)


def _alias_near(instance: Model | None, model: type[Model]) -> str:
    """Shard of the row at hand; ``_state.db`` is never asked, the row may have moved."""
    if instance is not None and instance.pk is None:
        raise ShardKeyMissing(f"{type(instance).__name__} has no ID yet: give it one with `new_id`")
    if instance is None:
        raise ShardKeyMissing(f"{model.__name__}: no shard key; use `.on(key)` or `.across()`")
    return alias_of(context_of_model(model), instance.pk)


def _home_only(app_label: str, model_name: str | None) -> bool:
    known = apps.get_app_config(app_label).models
    model = known.get(model_name.lower()) if model_name else None
    if model is None:
        return False
    return issubclass(model, HomeModel) or (issubclass(model, KernelModel) and model.home_only)
