"""The last look at a query, when it becomes SQL for one database: nothing is asked where its rows may not be.

Django sends a subquery, or a part of a union, to whatever database the outer query goes to. So each query of a model of
ours says by itself, at that moment, whether that database can answer it.
"""

from typing import Any, override

from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql import Query
from django.db.models.sql.where import AND, WhereNode

from shop.sharding.databases import home_of
from shop.sharding.errors import MixedShards, ShardKeyMissing
from shop.sharding.keys import (
    aliases_demanded,
    buckets_apart,
    context_of_model,
    counts_over_rows,
    finds_nothing,
    is_key,
    is_own_key,
    model_of,
)


class ShardedQuery(Query):
    """A query of a sharded model.

    Attributes:
        pinned_to: Alias that the caller has named; None: the keys decide.
    """

    pinned_to: str | None = None

    @override
    def get_compiler(self, using: str | None = None, connection: Any = None, elide_empty: bool = True) -> Any:
        self.check_answerable_by(using or connection.alias)
        return super().get_compiler(using=using, connection=connection, elide_empty=elide_empty)

    @override
    def as_sql(self, compiler: Any, connection: Any) -> Any:
        # Only subqueries come in here.
        if not self._follows(compiler.query):
            self.check_answerable_by(connection.alias)
        return self.chain(Query).as_sql(compiler, connection)

    def check_answerable_by(self, alias: str) -> None:
        """Refuse to ask ``alias`` for rows that may lie elsewhere.

        Raises:
            MixedShards: It is pinned to another alias, or a key of it lies on another shard.
            ShardKeyMissing: It demands no key, or keys that exclude each other.
        """
        name = model_of(self).__name__
        if self.pinned_to is not None:
            if self.pinned_to != alias:
                raise MixedShards(f"{name}: a query on {self.pinned_to} is part of one on {alias}; read it first")
            return
        found = aliases_demanded(self)
        if found - {alias}:
            raise MixedShards(f"{name}: a query on {', '.join(sorted(found))} is part of one on {alias}; read it first")
        if not found and not finds_nothing(self):
            hint = 'bind it by a key (`parcel_id=OuterRef("pk")`, `id__in=….values("parcel_id")`) or read it first'
            raise ShardKeyMissing(f"{name}: a subquery may have rows on any shard; {hint}")
        if buckets_apart(self):
            raise ShardKeyMissing(f"{name}: a key beside `.on(key)` lies in another bucket; leave `.on` out")

    def _follows(self, outer: Query) -> bool:
        """Whether all rows that matter lie in the bucket of the outer query's row, wherever that is."""
        return not self.combinator and (self._is_correlated() or self._is_compared_by_key(outer))

    def _is_correlated(self) -> bool:
        return self.where.connector == AND and not self.where.negated and any(map(self._is_bound, self.where.children))

    def _is_bound(self, condition: Any) -> bool:
        if isinstance(condition, WhereNode):
            plain = condition.connector == AND and not condition.negated
            return plain and any(map(self._is_bound, condition.children))
        if not isinstance(condition, Exact) or not isinstance(condition.rhs, Col):
            return False
        from_outside = condition.rhs.alias not in self.alias_map
        same = condition.rhs.target.model._meta.app_label == model_of(self)._meta.app_label
        return from_outside and same and is_own_key(condition.lhs, self) and is_key(condition.rhs)

    def _is_compared_by_key(self, outer: Query) -> bool:
        # The first rows of a shard, or the ranks there, are not those of all.
        partial = self.is_sliced or self.distinct_fields or counts_over_rows(self)
        plain = len(self.select) == 1 and not self.annotation_select and not partial
        return plain and is_own_key(self.select[0], self) and _compares(outer.where, self)


class HomeQuery(Query):
    """A query of a table that exists at its context's home only."""

    @override
    def get_compiler(self, using: str | None = None, connection: Any = None, elide_empty: bool = True) -> Any:
        alias, home = using or connection.alias, home_of(context_of_model(model_of(self)))
        if alias != home:
            raise MixedShards(f"{model_of(self).__name__} lives on {home}, it can't be asked on {alias}; read it first")
        return super().get_compiler(using=using, connection=connection, elide_empty=elide_empty)


def _compares(where: WhereNode, inner: Query) -> bool:
    """Whether ``where`` asks of a key whether it is among what ``inner`` finds."""
    for child in where.children:
        if isinstance(child, WhereNode):
            if _compares(child, inner):
                return True
        elif isinstance(child, In | Exact) and child.rhs is inner:
            return is_key(child.lhs)
    return False
