"""Signing staff in, and the roles every home knows."""

from typing import Final

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Group

from shop.contract import UnauthenticatedError
from shop.sharding.router import staff_home
from shop.staff.models import ROLES, StaffUser


class InvalidCredentialsError(UnauthenticatedError):
    """Unknown account, wrong password or switched off: deliberately one answer, in the same time."""

    code = "invalid_credentials"


_STAND_IN: Final = "not a password of anybody"
_stand_in: list[str] = []


def sign_in(*, email: str, password: str) -> StaffUser:
    """The active account these credentials open.

    Raises:
        InvalidCredentialsError: They open none.
    """
    account = StaffUser.objects.using(staff_home()).filter(email__iexact=email.strip(), is_active=True).first()
    if not verify_password(password, account.password if account else None) or account is None:
        raise InvalidCredentialsError(detail="unknown e-mail or wrong password")
    return account


def verify_password(password: str, stored: str | None) -> bool:
    """Whether ``password`` is the stored one. Takes as long when nothing is stored."""
    if stored is None:
        if not _stand_in:
            _stand_in.append(make_password(_STAND_IN))
        check_password(password, _stand_in[0])
        return False
    return check_password(password, stored)


def ensure_roles(alias: str) -> None:
    """Make the groups that are staff roles in one home. Safe to repeat."""
    for name in ROLES:
        Group.objects.using(alias).get_or_create(name=name)
