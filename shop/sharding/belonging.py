"""Whether a row may be written where somebody wants to write it."""

from typing import Any, cast

from django.db.models import Field, Model

from shop.sharding.errors import MixedShards, ShardKeyMissing, ShardScopeMissing
from shop.sharding.ids import bucket_of
from shop.sharding.keys import context_of_model, shard_key_fields
from shop.sharding.scope import current_scope
from shop.sharding.shard_map import alias_of


def scope_alias(model: type[Model]) -> str:
    """Alias of the open scope, which must be one of ``model``'s context.

    Raises:
        ShardScopeMissing: There is none, or it is another context's.
    """
    scope = current_scope()
    if scope is None or scope.context != context_of_model(model):
        raise ShardScopeMissing(f"{model._meta.label} is written outside `shard_atomic`")
    return scope.alias


def check_belongs(instance: Model, alias: str) -> None:
    """Refuse to write a row into a shard that does not own its bucket.

    Raises:
        ShardScopeMissing: ``alias`` is not the shard of the instance's ID.
        MixedShards: One of its shard keys lies in another bucket: by that key the row would never be found; or the
            database would work it out, and nobody knows where it lies.
    """
    if instance.pk is None:
        raise ShardKeyMissing(f"{type(instance).__name__} has no ID yet: give it one with `new_id`")
    if alias_of(context_of_model(type(instance)), instance.pk) != alias:
        raise ShardScopeMissing(f"{type(instance).__name__} {instance.pk} does not belong to {alias}")
    for name in shard_key_fields(type(instance)):
        key = instance.__dict__.get(name)
        if hasattr(key, "resolve_expression"):
            raise MixedShards(f"{type(instance).__name__}.{name} is an expression: a shard key is written as a number")
        field = cast("Field[Any, Any]", instance._meta.get_field(name))
        key = field.to_python(key)  # as it will be stored: it may have come as a text
        if key is not None and bucket_of(key) != bucket_of(instance.pk):
            raise MixedShards(f"{type(instance).__name__}.{name} lies in another bucket than {instance.pk}")
