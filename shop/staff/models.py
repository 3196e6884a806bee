"""The user model of Django admin and of staff tokens. Customers are no users of it: they belong to a context."""

import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar, Final

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Now

from shop.contract import Principal
from shop.sharding import context_of_alias, new_id
from shop.sharding.router import staff_home

ROLES = ("catalog_editor", "order_desk", "read_only")


on_locked_out: Final[list[Callable[[int], object]]] = []
"""Called with an account's ID when it was switched off, or has another password, and that is committed: whoever keeps
its sign-ins ends them."""


class StaffAccounts(BaseUserManager["StaffUser"]):
    """Makes and finds accounts; the names are Django's."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The one form in which addresses are stored and compared: case never makes two accounts of one."""
        return unicodedata.normalize("NFKC", email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> "StaffUser":
        """The account that signs in with ``username``."""
        return super().get_by_natural_key(self.normalize_email(username))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "StaffUser":
        """A staff account without rights."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db or staff_home())
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "StaffUser":
        """An account that may do everything."""
        return self.create_user(email, password, is_superuser=True, **fields)


class StaffUser(AbstractBaseUser, PermissionsMixin):
    """One member of staff. Groups are roles, by name."""

    id = models.BigIntegerField(primary_key=True, editable=False)
    email = models.EmailField(unique=True, max_length=254)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[StaffAccounts] = StaffAccounts()

    class Meta:
        verbose_name = "staff account"

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **options: Any) -> None:
        """Save; a new account gets its ID here, since Django makes empty ones only to look at them."""
        if self._state.adding and not self.pk:
            self.pk = new_id(context_of_alias(staff_home()))
        has_new_password = self._password is not None  # type: ignore[attr-defined]  # Django's, until it is saved
        is_open = self.is_active and self.has_usable_password() and not has_new_password
        is_locked_out = not (is_open or self._state.adding)
        super().save(*args, **options)
        if is_locked_out:
            for call in on_locked_out:
                transaction.on_commit(partial(call, self.pk), using=self._state.db, robust=True)

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """What forms make of an address: the same form as everybody else."""
        return StaffAccounts.normalize_email(username)

    @property
    def is_staff(self) -> bool:
        """Every account may enter the admin; what it sees there is a matter of rights."""
        return self.is_active

    def principal(self, session_id: str) -> Principal:
        """This account as the caller of an operation. A group that is no role of ours counts for nothing."""
        roles: Iterable[str] = self.groups.filter(name__in=ROLES).order_by("name").values_list("name", flat=True)
        held = ("superuser",) if self.is_superuser else tuple(roles)
        return Principal(id=str(self.pk), role="staff", roles=held, session_id=session_id)
