"""The screen of staff accounts: a superuser makes them, gives them roles, switches them off. `admin` comes in here."""

from typing import TYPE_CHECKING, Any, override

from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm, UserCreationForm
from django.http import HttpRequest

from shop.sharding import context_of_alias
from shop.sharding.generator import generator_of
from shop.sharding.router import staff_home
from shop.staff.models import StaffUser
from shop.staff.screens import holds_a_role

if TYPE_CHECKING:
    _NewUser = UserCreationForm[StaffUser]
    _User = UserChangeForm[StaffUser]
    _UserAdmin = UserAdmin[StaffUser]
else:
    _NewUser, _User, _UserAdmin = UserCreationForm, UserChangeForm, UserAdmin  # they take no type at run time


class NewAccount(_NewUser):
    """An account with its first password."""

    class Meta:
        model = StaffUser
        fields = ("email", "name")


class Account(_User):
    """An account as it may be changed; its password has a page of its own."""

    class Meta:
        model = StaffUser
        fields = "__all__"


class StaffUserAdmin(_UserAdmin):
    """Shown to everybody who holds a role, changed by superusers, deleted by nobody: other rows hold its ID."""

    add_form, form = NewAccount, Account
    list_display = ("pk", "email", "name", "is_active", "is_superuser")
    list_filter = ()
    search_fields = ()
    ordering = ("-pk",)
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)
    readable = ("email", "name", "is_active", "is_superuser", "groups")

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        secret = ("password",) if self.has_change_permission(request) else ()
        return ((None, {"fields": (*self.readable, *secret)}),)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return _may_change(request)

    @override
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_change(request)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @override
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return holds_a_role(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return holds_a_role(request)

    @override
    def add_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        generator_of(context_of_alias(staff_home())).ensure_window()  # in the view's own transaction it's too late
        return super().add_view(request, *args, **options)


def _may_change(request: HttpRequest) -> bool:
    user = request.user
    return isinstance(user, StaffUser) and user.is_active and user.is_superuser
