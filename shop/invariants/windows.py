"""A table in windows of primary keys: each is read by itself, so memory is bounded, and can be read again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Max, Model, Q, QuerySet

from shop.invariants.words import Check, Finding
from shop.sharding import aliases_of, context_of_alias, shard_map
from shop.sharding.scatter import owned
from shop.sharding.sharded import context_of_model

WINDOW: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The rows of a table in one database whose keys are from ``first`` to ``last``, both included."""

    alias: str
    first: int
    last: int
    rows: int

    def all_of(self, model: type[Model]) -> QuerySet[Any]:
        """The window's rows of ``model``, whether or not the database owns their buckets."""
        return model._default_manager.using(self.alias).filter(pk__gte=self.first, pk__lte=self.last)

    def of(self, model: type[Model]) -> QuerySet[Any]:
        """The window's rows of ``model``, each seen at its owner only."""
        return self.all_of(model).filter(owned(shard_map(context_of_alias(self.alias)), self.alias))


def over(
    model: type[Model], look: Callable[[Window], Iterable[Finding]], *, where: Q | None = None, size: int = WINDOW
) -> Check[Window]:
    """Look at a context's table on all its shards, ``size`` rows at a time.

    Args:
        model: The table.
        look: What is wrong in a window; one statement where it compares rows, so that it sees one moment.
        where: Which rows the windows are made of; None: all.
        size: How many rows a window has.
    """

    def places() -> Sequence[str]:
        return aliases_of(context_of_model(model))

    def parts(alias: str) -> Iterator[Window]:
        here = owned(shard_map(context_of_alias(alias)), alias)
        return windows(model._default_manager.filter(here, where or Q()), alias, size)

    return Check(places=places, parts=parts, look=look)


def windows(rows: QuerySet[Any], alias: str, size: int) -> Iterator[Window]:
    """``rows`` of ``alias`` in windows of ``size``, by their keys. Database: the keys are walked, one comes out."""
    after, rows = -1, rows.using(alias)
    while True:
        rest = rows.filter(pk__gt=after)
        last = list(rest.order_by("pk").values_list("pk", flat=True)[size - 1 : size])
        if not last:
            break
        yield Window(alias=alias, first=after + 1, last=last[0], rows=size)
        after = last[0]
    end = rest.aggregate(rows=Count("pk"), last=Max("pk"))
    if end["rows"]:
        yield Window(alias=alias, first=after + 1, last=end["last"], rows=end["rows"])
