"""What many shards can answer one by one, and the order in which their answers are put together."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import CharField, Model, QuerySet, TextField
from django.db.models.functions import Collate

from shop.sharding.errors import MixedShards
from shop.sharding.keys import counts_over_rows


def check_spreadable(queryset: QuerySet[Any, Any]) -> None:
    """Refuse a query whose answer is more than the sum of the shards' answers.

    Raises:
        MixedShards: Its name says why.
    """
    query: Any = queryset.query
    whole_rows = queryset._fields is None  # type: ignore[attr-defined]  # Django's, which its stubs leave out
    faults = {
        "is on one database already": queryset._db is not None,  # type: ignore[attr-defined]  # as above
        "is a union": query.combinator,
        "is sliced: ask for a page": query.is_sliced,
        "leaves out equal rows": query.distinct and not (whole_rows and not query.distinct_fields),
        "groups rows": isinstance(query.group_by, tuple) and not _groups_by_key(queryset),
        "counts over rows": counts_over_rows(query),
    }
    if found := [what for what, is_so in faults.items() if is_so]:
        raise MixedShards(f"{queryset.model.__name__}: across all shards, a query that {found[0]} has no sum")


def _groups_by_key(queryset: QuerySet[Any, Any]) -> bool:
    query: Any = queryset.query
    return any(getattr(each, "target", None) == queryset.model._meta.pk for each in query.group_by)


class Order[M: Model]:
    """The order of a list over many shards: as the databases sort and as Python merges.

    Raises:
        ValueError: A row's place in it is not certain.
    """

    def __init__(self, queryset: QuerySet[M], names: Sequence[str]) -> None:
        self._names = [(name.removeprefix("-"), name.startswith("-")) for name in names]
        self._model = queryset.model
        if not {"pk", str(self._model._meta.pk.name)} & {name for name, _ in self._names}:
            raise ValueError(f"a page ordered by {', '.join(names)} may lose rows: end with the ID")
        if queryset._fields is not None:  # type: ignore[attr-defined]  # Django's, which its stubs leave out
            raise ValueError("a page is made of rows: leave values() out")
        if joined := [name for name, _ in self._names if "__" in name]:
            raise ValueError(f"a page can't be ordered by {joined[0]}, which is a value of another row")

    def prepared(self, rows: QuerySet[M]) -> tuple[QuerySet[M], list[str]]:
        """``rows`` of one database with the names by which it sorts them as Python does."""
        names = []
        for field, descending in self._names:
            name = field
            if connections[rows.db].vendor == "postgresql" and self._is_text(field):
                name = f"{field}_by_code_point"
                rows = rows.alias(**{name: Collate(field, "C")})
            names.append(f"-{name}" if descending else name)
        return rows, names

    def key(self, row: M) -> "_Key":
        """What the rows are merged by."""
        return _Key([(getattr(row, name), descending) for name, descending in self._names])

    def checked(self, rows: list[M]) -> list[M]:
        """``rows``, none of which has null where it is sorted: databases disagree on its place."""
        for name, _ in self._names:
            if any(getattr(row, name) is None for row in rows):
                raise ValueError(f"{self._model.__name__}: a row has null for {name}, which has no place in the order")
        return rows

    def _is_text(self, name: str) -> bool:
        try:
            return isinstance(self._model._meta.get_field(name), CharField | TextField)
        except FieldDoesNotExist:  # the ID as `pk`, or what the query has computed
            return False


class _Key:
    """Orders rows as their shards did."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[tuple[Any, bool]]) -> None:
        self.values = values

    def __lt__(self, other: "_Key") -> bool:
        for (mine, descending), (theirs, _) in zip(self.values, other.values, strict=True):
            if mine != theirs:
                return bool(mine > theirs if descending else mine < theirs)
        return False
