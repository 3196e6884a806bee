"""Which shards a query demands: read off its WHERE, before any database is asked.

Every relation of a sharded model stays within one bucket (`shop.sharding.checks`, and each write), so a key that a
query demands of any of its tables is one of the row's own bucket.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, override

from django.core.exceptions import FullResultSet
from django.db.models import BooleanField, Model
from django.db.models.expressions import Col, ColPairs
from django.db.models.lookups import Exact, In, Lookup
from django.db.models.sql import Query
from django.db.models.sql.where import AND, OR, NothingNode, WhereNode

from shop.sharding.databases import owner_of
from shop.sharding.ids import bucket_of, key_of_bucket
from shop.sharding.shard_map import shard_map

if TYPE_CHECKING:
    _Lookup = Lookup[bool]
else:
    _Lookup = Lookup  # takes no type at run time


def context_of_model(model: type[Model]) -> str:
    """Context whose table ``model`` is."""
    owner = owner_of(model._meta.app_label)
    if owner is None:
        raise LookupError(f"{model._meta.label} belongs to no context that this process hosts")
    return owner


def model_of(query: Query) -> type[Model]:
    """Whose table ``query`` is about."""
    model: type[Model] = query.model  # type: ignore[assignment]  # None before Django has begun with it, never after
    return model


@cache
def shard_key_fields(model: type[Model]) -> frozenset[str]:
    """Fields of ``model`` whose value is an ID in the row's own bucket; none where it is not sharded."""
    keys = getattr(model, "shard_keys", None)
    return frozenset() if keys is None else frozenset({model._meta.pk.attname, *keys})


class InBucket(_Lookup):
    """Whether a key lies in a bucket; what `.on(key)` asks of a row. Costs nothing where a key is demanded besides."""

    lookup_name = "in_bucket"
    prepare_rhs = False
    output_field = BooleanField()

    @override
    def as_sql(self, compiler: Any, connection: Any) -> Any:
        keys = _keys(compiler.query.where, compiler.query, besides_bucket=True)
        if keys and all(bucket_of(key) == self.rhs for key in keys):
            raise FullResultSet
        text, values = self.process_lhs(compiler, connection)
        # SQLite, without statistics, takes a range of the primary key for the best way in all the same.
        key = f"({text} + 0)" if connection.vendor == "sqlite" else text
        return f"{key} BETWEEN %s AND %s", [*values, key_of_bucket(self.rhs), key_of_bucket(self.rhs + 1) - 1]


def aliases_demanded(query: Query) -> set[str]:
    """Shards of the keys that ``query`` demands; empty when it leaves room for rows of any shard."""
    if query.combinator:
        parts = [part for part in query.combined_queries if not finds_nothing(part)]
        found = [aliases_demanded(part) for part in parts]
        return set().union(*found) if all(found) else set()
    model = model_of(query)
    if not shard_key_fields(model):
        return set()
    context = context_of_model(model)
    buckets = _buckets_named(query) or {bucket_of(key) for key in keys_demanded(query)}
    return {shard_map(context).alias_of_bucket(bucket) for bucket in buckets}


def keys_demanded(query: Query) -> set[int]:
    """IDs that each row found must have as a key, or one of them; a bucket stands there by its lowest ID."""
    return _keys(query.where, query)


def buckets_apart(query: Query) -> bool:
    """Whether `.on` names one bucket and a list of keys beside it more than that: those would be left out silently."""
    named = _buckets_named(query)
    return bool(named) and any({bucket_of(key)} != named for keys in _lists(query.where, query) for key in keys)


def _buckets_named(query: Query) -> set[int]:
    plain = query.where.connector == AND and not query.where.negated
    return {child.rhs for child in query.where.children if isinstance(child, InBucket)} if plain else set()


def _lists(where: WhereNode, query: Query) -> Iterator[set[int]]:
    for child in where.children:
        if isinstance(child, WhereNode) and child.connector == AND and not child.negated:
            yield from _lists(child, query)
        elif isinstance(child, In):
            yield _named(child, query, besides_bucket=True)


def finds_nothing(query: Query) -> bool:
    """Whether `none()` or an empty list of keys says that no row is wanted."""
    if query.combinator:
        return all(finds_nothing(part) for part in query.combined_queries)
    return _is_empty(query.where)


def _is_empty(where: Any) -> bool:
    if isinstance(where, WhereNode):
        conjunction = where.connector == AND and not where.negated
        return conjunction and any(_is_empty(child) for child in where.children)
    return isinstance(where, NothingNode) or (
        isinstance(where, In) and isinstance(where.rhs, list | tuple | set | frozenset) and not where.rhs
    )


def _keys(where: WhereNode, query: Query, *, besides_bucket: bool = False) -> set[int]:
    if where.negated:
        return set()
    branches = []
    for child in where.children:
        if isinstance(child, WhereNode):
            found = _keys(child, query, besides_bucket=besides_bucket)
        else:
            found = _named(child, query, besides_bucket=besides_bucket)
        if found or not _is_empty(child):
            branches.append(found)
    if where.connector == AND or len(branches) == 1 or (where.connector == OR and all(branches)):
        return set().union(*branches)
    return set()


def _named(lookup: Any, query: Query, *, besides_bucket: bool) -> set[int]:
    values: Any
    if isinstance(lookup, Exact):
        column, values = lookup.lhs, (lookup.rhs,)
    elif isinstance(lookup, In):
        column, values = lookup.lhs, lookup.rhs
    elif isinstance(lookup, InBucket):
        return set() if besides_bucket else {key_of_bucket(lookup.rhs)}
    else:
        return set()
    if not isinstance(values, list | tuple | set | frozenset):
        return set()
    if isinstance(column, ColPairs) and len(column) == 1:  # how Django prefetches: a column and its values in tuples
        [column], values = column.get_cols(), [value for [value] in values]
    return _numbers(values) if is_own_key(column, query) else set()


def _numbers(values: Iterable[Any]) -> set[int]:
    """``values``, unless one of them is an expression, which may be any row's; nothing equals None."""
    known = [value for value in values if value is not None]
    return set(known) if all(isinstance(value, int) for value in known) else set()


def is_own_key(column: Any, query: Query) -> bool:
    """Whether ``column`` is a shard key of one of the tables of ``query`` itself."""
    own = query.alias_map or {model_of(query)._meta.db_table}
    return isinstance(column, Col) and column.alias in own and is_key(column)


def is_key(column: Any) -> bool:
    """Whether ``column`` is a shard key of its table."""
    return isinstance(column, Col) and column.target.attname in shard_key_fields(column.target.model)


def counts_over_rows(query: Query) -> bool:
    """Whether a value of a row depends on other rows: a window."""
    return any(getattr(each, "contains_over_clause", False) for each in query.annotations.values())
