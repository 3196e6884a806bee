"""Models that know where they live: `ShardedModel` by the bucket of its ID, `HomeModel` at the context's home."""

from collections.abc import Collection, Iterable
from typing import Any, ClassVar, Self, override

from django.db import models
from django.db.models import Model, QuerySet
from django.db.models.sql.where import AND, NothingNode, WhereNode

from shop.sharding.databases import home_of, owner_of
from shop.sharding.errors import MixedShards, ShardKeyMissing, ShardScopeMissing
from shop.sharding.ids import bucket_of
from shop.sharding.scatter import Across
from shop.sharding.scope import current_scope
from shop.sharding.shard_map import alias_of


def context_of_model(model: type[Model]) -> str:
    """Context whose table ``model`` is."""
    owner = owner_of(model._meta.app_label)
    if owner is None:
        raise LookupError(f"{model._meta.label} belongs to no context that this process hosts")
    return owner


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
        MixedShards: One of its shard keys lies in another bucket: by that key the row would never be found.
    """
    if instance.pk is None:
        raise ShardKeyMissing(f"{type(instance).__name__} has no ID yet: give it one with `new_id`")
    if alias_of(context_of_model(type(instance)), instance.pk) != alias:
        raise ShardScopeMissing(f"{type(instance).__name__} {instance.pk} does not belong to {alias}")
    for name in shard_key_fields(type(instance)):
        key = instance.__dict__.get(name)
        if isinstance(key, int) and bucket_of(key) != bucket_of(instance.pk):
            raise MixedShards(f"{type(instance).__name__}.{name} lies in another bucket than {instance.pk}")


class ShardedQuerySet[M: Model](QuerySet[M]):
    """Reads need a key, writes need a scope."""

    _db: str | None  # these three are Django's, which its stubs leave out
    _for_write: bool
    _hints: dict[str, Any]

    def on(self, key: int) -> Self:
        """This query on the shard of ``key``: the ID of the row or of what it belongs to."""
        return self.using(alias_of(context_of_model(self.model), key))

    def across(self, buckets: Collection[int] | None = None) -> Across[M]:
        """This query on all owning shards, or on those that own ``buckets``."""
        return Across(self, context_of_model(self.model), buckets)

    @property
    @override
    def db(self) -> str:
        if self._db:
            return self._db
        if self._for_write:
            return self._scope_alias()
        instance = self._hints.get("instance")
        if instance is not None:
            return alias_of(context_of_model(self.model), instance.pk)
        return self._routed_by_filter()

    def _routed_by_filter(self) -> str:
        found = self._aliases_in_filter()
        if len(found) == 1:
            return found.pop()
        if not found and _finds_nothing(self.query.where, self.model):
            return home_of_model(self.model)  # Django asks no database then
        what = f"spans {', '.join(sorted(found))}" if found else "names no shard key"
        raise ShardKeyMissing(f"{self.model.__name__}: the query {what}; use `.on(key)` or `.across()`")

    def _aliases_in_filter(self) -> set[str]:
        context = context_of_model(self.model)
        return {alias_of(context, key) for key in _keys_in(self.query.where, self.model)}

    def _scope_alias(self) -> str:
        alias = scope_alias(self.model)
        if elsewhere := self._aliases_in_filter() - {alias}:
            raise ShardScopeMissing(f"{self.model.__name__}: rows of {elsewhere.pop()} in a scope on {alias}")
        return alias

    def _for_writing(self) -> Self:
        alias = self._scope_alias()
        if self._db not in (None, alias):
            raise ShardScopeMissing(f"{self.model.__name__} is written on {self._db}, the scope is {alias}")
        return self if self._db else self.using(alias)

    @override
    def create(self, **fields: Any) -> M:
        instance = self.model(**fields)
        instance.save(force_insert=True, using=self._for_writing()._db)
        return instance

    @override
    def bulk_create(self, objs: Iterable[M], *args: Any, **options: Any) -> list[M]:
        rows, queryset = list(objs), self._for_writing()
        for row in rows:
            check_belongs(row, queryset.db)
        return super(ShardedQuerySet, queryset).bulk_create(rows, *args, **options)

    @override
    def bulk_update(self, objs: Iterable[M], *args: Any, **options: Any) -> int:
        rows, queryset = list(objs), self._for_writing()
        for row in rows:
            check_belongs(row, queryset.db)
        return super(ShardedQuerySet, queryset).bulk_update(rows, *args, **options)

    @override
    def update(self, **fields: Any) -> int:
        return super(ShardedQuerySet, self._for_writing()).update(**fields)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    @override
    def delete(self) -> tuple[int, dict[str, int]]:
        return super(ShardedQuerySet, self._for_writing()).delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    @override
    def get_or_create(self, defaults: Any = None, **fields: Any) -> tuple[M, bool]:
        return super(ShardedQuerySet, self._for_writing()).get_or_create(defaults, **fields)

    @override
    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **fields: Any) -> tuple[M, bool]:
        return super(ShardedQuerySet, self._for_writing()).update_or_create(defaults, create_defaults, **fields)


def _keys_in(where: Any, model: type[Model]) -> set[int]:
    """IDs that ``where`` demands by `exact` or `in` on a shard-key field; empty when it leaves room for others."""
    if where.negated or (where.connector != AND and len(where.children) > 1):
        return set()
    found: set[int] = set()
    for child in where.children:
        if isinstance(child, WhereNode):
            found |= _keys_in(child, model)
        elif _names_key(child, model):
            values: Iterable[Any] = child.rhs if child.lookup_name == "in" else [child.rhs]
            if isinstance(values, list | tuple | set | frozenset):
                found |= {value for value in values if isinstance(value, int)}
    return found


def _finds_nothing(where: Any, model: type[Model]) -> bool:
    """Whether `none()` or an empty list of keys says that no row is wanted."""
    if where.negated or where.connector != AND:
        return False
    return any(
        isinstance(child, NothingNode)
        or (_names_key(child, model) and child.lookup_name == "in" and child.rhs in ([], (), set(), frozenset()))
        for child in where.children
    )


def _names_key(child: Any, model: type[Model]) -> bool:
    target = getattr(getattr(child, "lhs", None), "target", None)
    return (
        getattr(child, "lookup_name", "") in {"exact", "in"}
        and target is not None
        and target.model is model
        and target.attname in shard_key_fields(model)
    )


def shard_key_fields(model: type[Model]) -> frozenset[str]:
    """Fields of ``model`` whose value is an ID in the row's own bucket."""
    return frozenset({model._meta.pk.attname, *getattr(model, "shard_keys", ())})


class ShardedModel(models.Model):
    """A table spread over the context's shards by the bucket of its ID.

    Attributes:
        shard_keys: Columns, besides the ID, that hold an ID of the same bucket: ``customer_id``, ``order_id``.
    """

    shard_keys: ClassVar[tuple[str, ...]] = ()

    id = models.BigIntegerField(primary_key=True)

    objects: ClassVar[models.Manager[Any]] = models.Manager.from_queryset(ShardedQuerySet)()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    @override
    def save(self, *args: Any, using: str | None = None, **options: Any) -> None:
        alias = scope_alias(type(self))
        if using not in (None, alias):
            raise ShardScopeMissing(f"{type(self).__name__} is saved on {using}, the scope is {alias}")
        check_belongs(self, alias)
        super().save(*args, using=alias, **options)

    @override
    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        alias = scope_alias(type(self))
        if using not in (None, alias):
            raise MixedShards(f"{type(self).__name__} is deleted on {using}, the scope is {alias}")
        check_belongs(self, alias)
        return super().delete(using=alias, keep_parents=keep_parents)


class HomeModel(models.Model):
    """A table that the context does not shard: it exists at its home only."""

    id = models.BigIntegerField(primary_key=True)

    class Meta:
        abstract = True


def home_of_model(model: type[Model]) -> str:
    """Home of the context whose table ``model`` is."""
    return home_of(context_of_model(model))
