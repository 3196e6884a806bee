"""Models that know where they live: `ShardedModel` by the bucket of its ID, `HomeModel` at the context's home."""

from collections.abc import Collection
from typing import Any, ClassVar, override

from django.db import models

from shop.contract import Event
from shop.sharding.belonging import check_belongs, scope_alias
from shop.sharding.databases import home_of
from shop.sharding.errors import MixedShards, ShardKeyMissing, ShardScopeMissing
from shop.sharding.keys import context_of_model, shard_key_fields
from shop.sharding.querysets import HomeQuerySet, ShardedQuerySet
from shop.sharding.shard_map import alias_of

__all__ = [
    "HomeModel",
    "HomeQuerySet",
    "ShardedModel",
    "ShardedQuerySet",
    "check_belongs",
    "context_of_model",
    "home_of_model",
    "scope_alias",
    "shard_key_fields",
]


class ShardedModel(models.Model):
    """A table spread over the context's shards by the bucket of its ID.

    Attributes:
        shard_keys: Columns, besides the ID, that hold an ID of the same bucket: ``customer_id``, ``order_id``.
        id_prefix: Of the row's public ID, where the public sees it.
        tells: The events of the aggregate that the row is, which its column ``event_seq`` counts.
    """

    shard_keys: ClassVar[tuple[str, ...]] = ()
    id_prefix: ClassVar[str] = ""
    tells: ClassVar[tuple[type[Event], ...]] = ()

    id = models.BigIntegerField(primary_key=True)

    objects: ClassVar[models.Manager[Any]] = models.Manager.from_queryset(ShardedQuerySet)()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    @override
    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        """Insert a new row, update one that was read: what is gone meanwhile is not made again.

        Raises:
            NotUpdated: The row was read, and is gone.
        """
        alias = scope_alias(type(self))
        if using not in (None, alias):
            raise ShardScopeMissing(f"{type(self).__name__} is saved on {using}, the scope is {alias}")
        if not self._state.adding and not force_insert:
            self._state.db = alias  # wherever it was read: Django compares them to know which columns it has
            force_update = True
        super().save(force_insert=force_insert, force_update=force_update, using=alias, update_fields=update_fields)

    @override
    def save_base(
        self,
        raw: bool = False,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> None:
        alias = scope_alias(type(self))
        if using != alias:
            raise ShardScopeMissing(f"{type(self).__name__} is saved on {using}, the scope is {alias}")
        check_belongs(self, alias)
        super().save_base(raw, force_insert, force_update, using, update_fields)

    @override
    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        alias = scope_alias(type(self))
        if using not in (None, alias):
            raise MixedShards(f"{type(self).__name__} is deleted on {using}, the scope is {alias}")
        check_belongs(self, alias)
        return super().delete(using=alias, keep_parents=keep_parents)

    @override
    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        if self.pk is None:
            raise ShardKeyMissing(f"{type(self).__name__} has no ID yet: give it one with `new_id`")
        owner = alias_of(context_of_model(type(self)), self.pk)
        for alias in (using, getattr(from_queryset, "_db", None)):
            if alias not in (None, owner):
                raise MixedShards(f"{type(self).__name__} {self.pk} lives on {owner}, it can't be read on {alias}")
        super().refresh_from_db(fields=fields, from_queryset=from_queryset)

    def _get_next_or_previous_by_FIELD(self, field: Any, is_next: bool, **keys: Any) -> Any:  # noqa: N802  Django's
        read_on, self._state.db = self._state.db, None  # where Django would look; the keys decide
        try:
            return super()._get_next_or_previous_by_FIELD(field, is_next, **keys)  # type: ignore[misc]
        finally:
            self._state.db = read_on

    @override
    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Django's checks, on the row's shard.

        Raises:
            ShardKeyMissing: One of them asks whether a value is unique, and that one on other shards may have it.
        """
        for _, constraints in self.get_constraints():
            for constraint in constraints:
                if isinstance(constraint, models.UniqueConstraint) and not set(constraint.fields) & set(exclude or ()):
                    _check_unique_in_bucket(type(self), constraint)
        super().validate_constraints(exclude)


def _check_unique_in_bucket(model: type[models.Model], constraint: models.UniqueConstraint) -> None:
    columns = {model._meta.get_field(name).attname for name in constraint.fields}  # type: ignore[union-attr]  # columns
    if not columns & shard_key_fields(model):
        what = f"{model.__name__}: {constraint.name} is about one shard only"
        raise ShardKeyMissing(f"{what}; exclude its fields and use `shop.sharding.unique`")


class HomeModel(models.Model):
    """A table that the context does not shard: it exists at its home only."""

    id = models.BigIntegerField(primary_key=True)

    objects: ClassVar[models.Manager[Any]] = models.Manager.from_queryset(HomeQuerySet)()

    class Meta:
        abstract = True


def home_of_model(model: type[models.Model]) -> str:
    """Home of the context whose table ``model`` is."""
    return home_of(context_of_model(model))
