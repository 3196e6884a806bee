"""Admin lists over many databases: each row once, at its owner, also while another database has a copy of it."""

from collections.abc import Collection, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, override

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from shop.events.which import MOST_ID
from shop.sharding import alias_of, context_of_alias, hosted_contexts, shard_map
from shop.sharding.keys import context_of_model, shard_key_fields
from shop.sharding.models import KernelModel, PlacedModel
from shop.sharding.public_ids import InvalidPublicId, number_of
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import Across
from shop.sharding.sharded import ShardedModel

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator  # takes no type at run time

MOST_DIGITS = len(str(MOST_ID))
MOST_PAGES = 100
DATABASE = "database"


def contexts_of(model: type[Model]) -> Sequence[str]:
    """Contexts over whose shards the rows of ``model`` are spread; none where each database has rows of its own."""
    if issubclass(model, ShardedModel):
        return [context_of_model(model)]
    return hosted_contexts() if issubclass(model, PlacedModel) else []


def databases_of(model: type[Model]) -> list[str]:
    """Databases that rows of ``model`` are shown from."""
    if contexts := contexts_of(model):
        return [alias for context in contexts for alias in shard_map(context).owners()]
    home_only = issubclass(model, KernelModel) and model.home_only
    return [alias for alias in all_aliases() if not home_only or alias.endswith("_0")]


def row_of(model: type[Model], key: Any, database: str) -> Model | None:
    """The row with this ID, read from its owner; ``database`` says whose ID it is where contexts share a table."""
    if contexts := contexts_of(model):
        if not 0 <= key <= MOST_ID:
            return None
        named = [context for context in contexts if database and context == context_of_alias(database)]
        aliases = [alias_of(context, key) for context in named or contexts]
    else:
        aliases = [database] if database in all_aliases() else []
    found = [row for alias in aliases for row in model._base_manager.using(alias).filter(pk=key)]
    return found[0] if len(found) == 1 else None


def key_meant(text: str) -> int | None:
    """The ID that somebody looks for, as a number or as the public sees it."""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= MOST_DIGITS and int(text) <= MOST_ID else None
    try:
        return number_of(text.partition("_")[0], text)
    except InvalidPublicId:
        return None


def having_key(model: type[Model], key: int) -> Q:
    """Rows with this ID, or of what has it."""
    condition = Q(pk=key)
    for name in shard_key_fields(model):
        condition |= Q(**{name: key})
    return condition


class Rows[M: Model]:
    """What a paginator needs of rows that lie in many databases: how many, and a slice in the order of their IDs."""

    def __init__(self, queryset: QuerySet[M], database: str = "") -> None:
        self._queryset = queryset
        self._database = database

    @cached_property
    def _parts(self) -> list[Across[M]]:
        contexts = [c for c in contexts_of(self._queryset.model) if self._database in ("", *_aliases(c))]
        return [Across(self._queryset, context, self._buckets(context)) for context in contexts]

    def _buckets(self, context: str) -> Collection[int] | None:
        return [lo for lo, _ in shard_map(context).slices_of(self._database)] if self._database else None

    def __len__(self) -> int:
        if contexts_of(self._queryset.model):
            return sum(part.count() for part in self._parts)
        return sum(self._queryset.using(alias).count() for alias in self._databases())

    def __getitem__(self, part: slice) -> list[M]:
        if contexts_of(self._queryset.model):
            pages = [across.page(order=("-pk",), limit=part.stop).rows for across in self._parts]
            return list(islice(merge(*pages, key=lambda row: row.pk, reverse=True), part.start, part.stop))
        return list(islice(self._each(), part.start, part.stop))

    def _each(self) -> Iterator[M]:
        for alias in self._databases():
            yield from self._queryset.using(alias).order_by("-pk").iterator()

    def _databases(self) -> list[str]:
        return [alias for alias in databases_of(self._queryset.model) if self._database in ("", alias)]


def _aliases(context: str) -> Sequence[str]:
    return shard_map(context).owners()


class FirstPages(_Paginator):
    """The first pages of a list: what lies far behind is looked for by its ID or by a filter, not by paging."""

    @cached_property
    def num_pages(self) -> int:
        """How many there are to turn."""
        return min(super().num_pages, MOST_PAGES)


class SpreadChangeList(ChangeList):
    """A list over all databases that hold the table."""

    @override
    def get_results(self, request: HttpRequest) -> None:
        rows: Any = Rows(self.queryset, request.GET.get(DATABASE, ""))
        paginator = FirstPages(rows, self.list_per_page)
        page = paginator.get_page(self.page_num)
        self.page_num = page.number  # the last one, where there are fewer by now
        self.result_list = page.object_list
        self.result_count = self.full_result_count = paginator.count
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = False
        self.multi_page = paginator.num_pages > 1
        self.paginator = paginator

    @override
    def url_for_result(self, result: Model) -> str:
        return f"{super().url_for_result(result)}?{DATABASE}={result._state.db}"


class DatabaseFilter(SimpleListFilter):
    """Rows of one database only; the list applies it, when it knows which databases to ask."""

    title = "database"
    parameter_name = DATABASE

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(alias, alias) for alias in databases_of(model_admin.model)]

    @override
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.none() if self.value() not in (None, *databases_of(queryset.model)) else queryset
