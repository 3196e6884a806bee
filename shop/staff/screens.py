"""Read-only admin screens, for tables in many databases too. The contexts' `admin` comes in here with `show`."""

from typing import TYPE_CHECKING, Any, ClassVar, override

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from shop.sharding.models import KernelModel
from shop.sharding.router import STAFF_LABELS
from shop.sharding.sharded import ShardedModel
from shop.staff.models import StaffUser
from shop.staff.spread import DATABASE, DatabaseFilter, SpreadChangeList, having_key, key_meant, row_of

if TYPE_CHECKING:
    _ModelAdmin = ModelAdmin[Model]
else:
    _ModelAdmin = ModelAdmin  # takes no type at run time

PER_PAGE = 50
SAFE_METHODS = ("GET", "HEAD")


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
        return holds_a_role(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return holds_a_role(request)

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


def holds_a_role(request: HttpRequest) -> bool:
    """Whether somebody of the staff asks who may look at something."""
    user = request.user
    return isinstance(user, StaffUser) and user.is_active and bool(user.principal("").roles)


class SpreadAdmin(ReadOnlyAdmin):
    """The list merges databases; a row's page, and who looks for an ID, asks the one that has it."""

    ordering = ("-pk",)
    sortable_by = ()
    search_fields = ("pk",)
    search_help_text = "An ID of the row, or of what it belongs to: a number, or as the public sees it."
    show_facets = ShowFacets.NEVER

    @override
    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return SpreadChangeList

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        key = key_meant(text)
        return (queryset.none() if key is None else queryset.filter(having_key(self.model, key))), False

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        try:
            key = self.model._meta.pk.to_python(object_id)
        except ValidationError:
            return None
        return row_of(self.model, key, request.GET.get(DATABASE, ""))

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
    choices = [name for name in columns if getattr(model._meta.get_field(name), "choices", None)]
    filters = (*((DatabaseFilter,) if spread else ()), *choices)
    attributes = {"list_display": names, "list_filter": filters, "hidden": hidden}
    admin.site.register(model, type(f"{model.__name__}Admin", (screen,), attributes))


def replace_editable_screens() -> None:
    """Tables of Django's own apps get the same screens: only accounts are edited here."""
    for model in [m for m in list(admin.site._registry) if m._meta.app_label in STAFF_LABELS]:
        admin.site.unregister(model)
        show(model, "name")
