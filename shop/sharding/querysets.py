"""Querysets that know where their rows are: `ShardedQuerySet`, and `HomeQuerySet` for what is not sharded."""

from collections.abc import Collection, Iterable
from typing import Any, Self, override

from django.db.models import FETCH_PEERS, Model, QuerySet
from django.db.models.sql.where import AND

from shop.sharding.belonging import check_belongs, scope_alias
from shop.sharding.databases import home_of
from shop.sharding.errors import MixedShards, ShardKeyMissing, ShardScopeMissing
from shop.sharding.ids import bucket_of
from shop.sharding.keys import (
    InBucket,
    aliases_demanded,
    buckets_apart,
    context_of_model,
    finds_nothing,
    keys_demanded,
    shard_key_fields,
)
from shop.sharding.peers import AT_THEIR_OWNERS
from shop.sharding.queries import HomeQuery, ShardedQuery
from shop.sharding.scatter import Across, owned
from shop.sharding.shard_map import shard_map


class ShardedQuerySet[M: Model](QuerySet[M]):
    """Reads need a key, writes need a key and a scope. `docs/router.md` has every case."""

    _db: str | None  # these four are Django's, which its stubs leave out
    _for_write: bool
    _hints: dict[str, Any]
    _query: Any

    def __init__(
        self, model: type[M] | None = None, query: Any = None, using: str | None = None, hints: Any = None
    ) -> None:
        super().__init__(model, query or ShardedQuery(model), using, hints)
        self._pin(using)

    def _pin(self, alias: str | None) -> None:
        # The query keeps it too: Django takes a subquery's query and forgets the queryset.
        self._query.pinned_to = alias

    @override
    def using(self, alias: str | None) -> Self:
        """This query on one database, by its name, whoever owns the rows there: for the machinery."""
        clone = super().using(alias)
        clone._pin(alias)
        return clone

    def on(self, key: int) -> Self:
        """This query within the bucket of ``key``: the ID of the row, or of what it belongs to."""
        self._not_support_combined_queries("on")  # type: ignore[attr-defined]  # Django's, which its stubs leave out
        if self.query.is_sliced:
            raise TypeError("a slice can't be asked for rows of a bucket: use `.on(key)` before it")
        clone = self._chain()  # type: ignore[attr-defined]  # as above
        query = clone.query
        column = self.model._meta.pk.get_col(query.get_initial_alias())
        query.where.add(InBucket(column, bucket_of(key)), AND)
        return clone  # type: ignore[no-any-return]

    def owned_by(self, alias: str) -> Self:
        """This query on one shard, among the rows that it owns: a report goes through all of them one by one."""
        return self.using(alias).filter(owned(shard_map(context_of_model(self.model)), alias))

    def across(self, buckets: Collection[int] | None = None, *, partial: bool = False) -> Across[M]:
        """This query on all owning shards, or those that own ``buckets``; ``partial``: without any that is away."""
        return Across(self, context_of_model(self.model), buckets, partial=partial)

    @property
    @override
    def db(self) -> str:
        if self._db:
            return self._db
        return self._alias_to_write() if self._for_write else self._alias_to_read()

    def _alias_to_read(self) -> str:
        found = aliases_demanded(self.query)
        if len(found) == 1:
            return found.pop()
        if not found and finds_nothing(self.query):
            return home_of(context_of_model(self.model))  # Django asks no database then
        what = f"spans {', '.join(sorted(found))}" if found else "names no shard key"
        raise ShardKeyMissing(f"{self.model.__name__}: the query {what}; use `.on(key)` or `.across()`")

    def _alias_to_write(self) -> str:
        """The scope's, if that is where the rows are that the query may change."""
        alias = scope_alias(self.model)
        if self._db not in (None, alias):
            raise ShardScopeMissing(f"{self.model.__name__} is written on {self._db}, the scope is {alias}")
        found = aliases_demanded(self.query)
        if elsewhere := found - {alias}:
            raise ShardScopeMissing(f"{self.model.__name__}: rows of {elsewhere.pop()} in a scope on {alias}")
        if not found and not self._db and not finds_nothing(self.query):
            what = "rows of any shard would be meant"
            raise ShardKeyMissing(f"{self.model.__name__}: {what}; filter by a key or use `.on(key)`")
        if buckets_apart(self.query):
            raise ShardKeyMissing(f"{self.model.__name__}: a key beside `.on(key)` lies in another bucket")
        return alias

    def _to_insert(self) -> Self:
        alias = scope_alias(self.model)
        if self._db not in (None, alias):
            raise ShardScopeMissing(f"{self.model.__name__} is written on {self._db}, the scope is {alias}")
        return self if self._db else self.using(alias)

    def _to_write(self) -> Self:
        alias = self._alias_to_write()
        return self if self._db else self.using(alias)

    @override
    def create(self, **fields: Any) -> M:
        instance = self.model(**fields)
        instance.save(force_insert=True, using=self._to_insert()._db)
        return instance

    @override
    def bulk_create(self, objs: Iterable[M], *args: Any, **options: Any) -> list[M]:
        rows, queryset = list(objs), self._to_insert()
        for row in rows:
            check_belongs(row, queryset.db)
        _check_conflict(self.model, options.get("unique_fields") or ())
        return super(ShardedQuerySet, queryset).bulk_create(rows, *args, **options)

    @override
    def bulk_update(self, objs: Iterable[M], *args: Any, **options: Any) -> int:
        rows, queryset = list(objs), self._to_insert()
        for row in rows:
            check_belongs(row, queryset.db)
        return super(ShardedQuerySet, queryset).bulk_update(rows, *args, **options)

    @override
    def update(self, **fields: Any) -> int:
        self._check_keys_stay(fields)
        return super(ShardedQuerySet, self._to_write()).update(**fields)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    @override
    def delete(self) -> tuple[int, dict[str, int]]:
        return super(ShardedQuerySet, self._to_write()).delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    @override
    def get_or_create(self, defaults: Any = None, **fields: Any) -> tuple[M, bool]:
        self.filter(**fields)._alias_to_write()
        return super(ShardedQuerySet, self._to_insert()).get_or_create(defaults, **fields)

    @override
    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **fields: Any) -> tuple[M, bool]:
        self.filter(**fields)._alias_to_write()
        return super(ShardedQuerySet, self._to_insert()).update_or_create(defaults, create_defaults, **fields)

    @override
    def fetch_mode(self, fetch_mode: Any) -> Self:
        return super().fetch_mode(AT_THEIR_OWNERS if fetch_mode is FETCH_PEERS else fetch_mode)

    @override
    def in_bulk(self, id_list: Iterable[Any] | None = None, *, field_name: str = "pk") -> dict[Any, M]:
        ids = None if id_list is None else list(id_list)
        if ids and not self._db:  # Django asks the database for its limits before it filters
            return self.using(self.filter(**{f"{field_name}__in": ids}).db).in_bulk(ids, field_name=field_name)
        return super().in_bulk(ids, field_name=field_name)

    @override
    def raw(self, raw_query: Any, params: Any = (), translations: Any = None, using: str | None = None) -> Any:
        if using is None and self._db is None:
            hint = "say `using=` or use a `Statement`"
            raise ShardKeyMissing(f"{self.model.__name__}: raw SQL leaves this query's keys out; {hint}")
        return super().raw(raw_query, params, translations, using)

    @override
    def extra(self, select: dict[str, str] | None = None, *args: Any, **options: Any) -> Any:
        if select and not args and not options and "(" not in "".join(select.values()):
            plain: Any = super().extra(select)  # noqa: S610  columns: how Django prefetches many-to-many relations
            return plain
        raise ShardKeyMissing(f"{self.model.__name__}: nobody can check what `extra` says; use a `Statement`")

    @override
    def __and__(self, other: Any) -> Any:
        return super().__and__(self._combinable(other))

    @override
    def __or__(self, other: Any) -> Any:
        return super().__or__(self._combinable(other))

    @override
    def __xor__(self, other: Any) -> Any:
        return super().__xor__(self._combinable(other))

    def _combinable(self, other: Any) -> Any:
        if self._db != other._db:
            raise MixedShards(f"{self.model.__name__}: one of the queries is on {self._db or other._db}, one is not")
        return other

    def _check_keys_stay(self, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            field = self.model._meta.get_field(name) if name != "pk" else self.model._meta.pk
            if getattr(field, "attname", name) not in shard_key_fields(self.model) or value is None:
                continue
            if finds_nothing(self.query):
                continue
            key = getattr(value, "pk", value)
            buckets = {bucket_of(each) for each in keys_demanded(self.query)}
            if not isinstance(key, int) or buckets != {bucket_of(key)}:
                raise MixedShards(f"{self.model.__name__}.{name} is a shard key: the row can't leave its bucket")


def _check_conflict(model: type[Model], unique_fields: Iterable[str]) -> None:
    names = {"id" if name == "pk" else model._meta.get_field(name).attname for name in unique_fields}  # type: ignore[union-attr]
    if names and not names & shard_key_fields(model):
        raise ShardKeyMissing(f"{model.__name__}: the row in conflict may lie on any shard; use `shop.sharding.unique`")


class HomeQuerySet[M: Model](QuerySet[M]):
    """Rows of a home. What it has of a sharded table, in a subquery or a union, is refused when it is asked."""

    def __init__(
        self, model: type[M] | None = None, query: Any = None, using: str | None = None, hints: Any = None
    ) -> None:
        super().__init__(model, query or HomeQuery(model), using, hints)
