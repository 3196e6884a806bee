"""Read-only admin screens, for tables in many databases too. The contexts' `admin` comes in here with `show`."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, override

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from shop.sharding.models import KernelModel
from shop.sharding.readiness import all_aliases
from shop.sharding.router import STAFF_LABELS
from shop.sharding.scatter import Across
from shop.sharding.sharded import ShardedModel, ShardedQuerySet
from shop.staff.models import StaffUser

if TYPE_CHECKING:
    _ModelAdmin = ModelAdmin[Model]
else:
    _ModelAdmin = ModelAdmin  # takes no type at run time

PER_PAGE = 50
SAFE_METHODS = ("GET", "HEAD")
MAX_ID = 2**63 - 1


class ReadOnlyAdmin(_ModelAdmin):
    """Lists and shows, for everybody who holds a role."""

    list_per_page = PER_PAGE
    hidden: ClassVar[tuple[str, ...]] = ()

    @override
    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    @override
    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return _holds_a_role(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return _holds_a_role(request)

    @override
    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        if request.method not in SAFE_METHODS:
            raise PermissionDenied  # before Django asks which database a write would go to
        return super().changeform_view(request, *args, **options)

    @override
    def delete_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        raise PermissionDenied

    @override
    def get_exclude(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.hidden


def _holds_a_role(request: HttpRequest) -> bool:
    user = request.user
    return isinstance(user, StaffUser) and user.is_active and bool(user.principal("").roles)


class _Rows[M: Model]:
    """What a paginator needs of rows that lie in many databases: how many, and a slice in the order of their IDs."""

    def __init__(self, queryset: QuerySet[M]) -> None:
        self._queryset = queryset

    @cached_property
    def _across(self) -> Across[M] | None:
        return self._queryset.across() if isinstance(self._queryset, ShardedQuerySet) else None

    def __len__(self) -> int:
        if self._across is not None:
            return self._across.count()
        return sum(self._queryset.using(alias).count() for alias in self._aliases())

    def __getitem__(self, part: slice) -> list[M]:
        if self._across is not None:
            return list(self._across.page(order=("-pk",), limit=part.stop).rows[part.start :])
        return list(islice(self._each(), part.start, part.stop))

    def _each(self) -> Iterator[M]:
        for alias in self._aliases():
            yield from self._queryset.using(alias).order_by("-pk").iterator()

    def _aliases(self) -> list[str]:
        home_only = getattr(self._queryset.model, "home_only", False)
        return [alias for alias in all_aliases() if not home_only or alias.endswith("_0")]


class SpreadChangeList(ChangeList):
    """A list over all databases that hold the table."""

    @override
    def get_results(self, request: HttpRequest) -> None:
        rows: Any = _Rows(self.queryset)
        paginator = Paginator(rows, self.list_per_page)
        page = paginator.get_page(self.page_num)
        self.result_list = page.object_list
        self.result_count = self.full_result_count = paginator.count
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = False
        self.multi_page = paginator.num_pages > 1
        self.paginator = paginator

    @override
    def url_for_result(self, result: Model) -> str:
        return f"{super().url_for_result(result)}?database={result._state.db}"


class SpreadAdmin(ReadOnlyAdmin):
    """The list merges databases; a row's page asks the one that has it."""

    ordering = ("-pk",)
    sortable_by = ()

    @override
    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return SpreadChangeList

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        try:
            key = self.model._meta.pk.to_python(object_id)
        except ValidationError:
            return None
        if issubclass(self.model, ShardedModel):
            rows: QuerySet[Model] = self.model.objects.on(key) if 0 <= key <= MAX_ID else self.model.objects.none()
        else:
            alias = request.GET.get("database", "")
            rows = self.model._base_manager.using(alias) if alias in all_aliases() else self.model._base_manager.none()
        return rows.filter(pk=key).first()

    @admin.display(description="database")
    def database(self, row: Model) -> str:
        """Where the row lies."""
        return str(row._state.db)


def show(model: type[Model], *columns: str, hidden: tuple[str, ...] = ()) -> None:
    """Give a table a read-only screen.

    Args:
        model: The table.
        columns: What its list shows, besides the database where there are several.
        hidden: Fields no page may show: secrets, even hashed.
    """
    spread = issubclass(model, ShardedModel | KernelModel)
    screen: type[ReadOnlyAdmin] = SpreadAdmin if spread else ReadOnlyAdmin
    names = ("pk", *(("database",) if spread else ()), *columns)
    admin.site.register(model, type(f"{model.__name__}Admin", (screen,), {"list_display": names, "hidden": hidden}))


def replace_editable_screens() -> None:
    """Tables of Django's own apps get the same screens: editing is not offered yet."""
    for model in [m for m in list(admin.site._registry) if m._meta.app_label in STAFF_LABELS]:
        admin.site.unregister(model)
        show(model, "name")
