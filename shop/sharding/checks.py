"""System checks over the models: what an import graph can't see."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error
from django.db.models import AutoField, BigIntegerField, Field, Model

from shop.sharding.databases import owner_of
from shop.sharding.fencing import fence_faults
from shop.sharding.models import KernelModel
from shop.sharding.readiness import all_aliases, unapplied
from shop.sharding.router import STAFF_LABELS
from shop.sharding.sharded import HomeModel, ShardedModel, ShardedQuerySet, shard_key_fields


def check_relations(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """No relation leaves its context; every table of a context says where it lives; keys are IDs that route."""
    models = [m for config in (app_configs or apps.get_app_configs()) for m in config.get_models()]
    return check_models(models)


def check_models(models: Iterable[type[Model]]) -> list[CheckMessage]:
    """The same for these models."""
    return [
        fault
        for model in models
        for fault in (
            *_relations(model),
            *_placement(model),
            *_key(model),
            *_routing(model),
            *_join_tables(model),
        )
    ]


def check_fences(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Each migrated database has every trigger of the fence, as the models of this version want it."""
    return [
        Error(f"{alias}: {fault}", "run `manage.py migrate_contexts`", id="shop.E009")
        for alias in databases or ()
        if alias in all_aliases() and not unapplied(alias)
        for fault in fence_faults(alias)
    ]


def _group(model: type[Model]) -> str:
    label = model._meta.app_label
    return "staff" if label in STAFF_LABELS else label


def _relations(model: type[Model]) -> list[CheckMessage]:
    faults: list[CheckMessage] = []
    for field in [*model._meta.get_fields(include_hidden=True)]:
        other = field.related_model
        if not isinstance(field, Field) or not isinstance(other, type) or not issubclass(other, Model):
            continue
        if _group(other) != _group(model):
            hint = "store the ID and ask the other context's service"
            faults.append(Error(f"{field} leaves its context for {other._meta.label}", hint, model, "shop.E001"))
        elif issubclass(model, ShardedModel) != issubclass(other, ShardedModel):
            hint = "a sharded and an unsharded table are in different databases"
            faults.append(Error(f"{field} joins {other._meta.label}, which lives elsewhere", hint, model, "shop.E002"))
    return faults


def _placement(model: type[Model]) -> list[CheckMessage]:
    if owner_of(model._meta.app_label) is None or issubclass(model, ShardedModel | HomeModel | KernelModel):
        return []
    hint = "derive it from ShardedModel or HomeModel"
    return [Error("the table does not say where it lives", hint, model, "shop.E003")]


def _join_tables(model: type[Model]) -> list[CheckMessage]:
    """Many-to-many fields bring tables of their own along, which say as little where they live as what they are of."""
    through = (field.remote_field.through for field in model._meta.local_many_to_many)
    return [fault for table in through if table and table._meta.auto_created for fault in _placement(table)]


def _key(model: type[Model]) -> list[CheckMessage]:
    if not issubclass(model, ShardedModel):
        return []
    faults: list[CheckMessage] = []
    if isinstance(model._meta.pk, AutoField) or not isinstance(model._meta.pk, BigIntegerField):
        faults.append(Error("the key does not route", "keep the `id` of ShardedModel", model, "shop.E004"))
    names = {field.attname for field in model._meta.concrete_fields}
    if unknown := shard_key_fields(model) - names:
        faults.append(Error(f"shard_keys names {sorted(unknown)}, which it has not", None, model, "shop.E005"))
    if bool(model.tells) != ("event_seq" in names):
        hint = "an aggregate counts the events that it tells in `event_seq`"
        faults.append(Error("either `tells` or `event_seq` is missing", hint, model, "shop.E006"))
    return faults


def _routing(model: type[Model]) -> list[CheckMessage]:
    """What the router relies on: relations within a bucket, and querysets of its own."""
    if not issubclass(model, ShardedModel):
        return []
    faults: list[CheckMessage] = []
    for field in model._meta.concrete_fields:
        other = field.related_model
        stays = isinstance(other, type) and issubclass(other, ShardedModel) and _group(other) == _group(model)
        if stays and not shard_key_fields(model) & {field.attname, field.name}:
            hint = "name its column in `shard_keys`: both rows lie in one bucket"
            faults.append(Error(f"{field} may lead to another shard", hint, model, "shop.E007"))
    managers = [*model._meta.managers, model._base_manager]
    if any(not issubclass(manager._queryset_class, ShardedQuerySet) for manager in managers):  # type: ignore[attr-defined]
        hint = "make its managers from ShardedQuerySet"
        faults.append(Error("a manager does not route", hint, model, "shop.E008"))
    return faults
