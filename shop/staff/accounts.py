"""Signing staff in, and the roles every home knows."""

from typing import Final

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, check_password
from django.contrib.auth.models import Group

from shop.contract import UnauthenticatedError
from shop.http.limits import SignInAttempts
from shop.sharding.router import staff_home
from shop.staff.models import ROLES, StaffUser


class InvalidCredentialsError(UnauthenticatedError):
    """Unknown account, wrong password or switched off: deliberately one answer, in the same time."""

    code = "invalid_credentials"


KIND: Final = "staff"
_NOTHING_STORED: Final = UNUSABLE_PASSWORD_PREFIX


def sign_in(*, email: str, password: str) -> StaffUser:
    """The active account these credentials open.

    Raises:
        InvalidCredentialsError: They open none.
        RateLimitedError: Too many sign-ins with this address have failed.
    """
    attempts = SignInAttempts(kind=KIND, account=email)
    attempts.admit()
    accounts = StaffUser.objects.using(staff_home())
    account = accounts.filter(email=StaffUser.objects.normalize_email(email), is_active=True).first()
    if not verify_password(password, account.password if account else None) or account is None:
        attempts.failed()
        raise InvalidCredentialsError(detail="unknown e-mail or wrong password")
    return account


def active_account(account_id: int) -> StaffUser | None:
    """The account with this ID, unless it is switched off."""
    return StaffUser.objects.using(staff_home()).filter(pk=account_id, is_active=True).first()


def verify_password(password: str, stored: str | None) -> bool:
    """Whether ``password`` is the stored one. Hashes once, also when nothing is stored."""
    return check_password(password, _NOTHING_STORED if stored is None else stored)


def ensure_roles(alias: str) -> None:
    """Make the groups that are staff roles in one home. Safe to repeat."""
    for name in ROLES:
        Group.objects.using(alias).get_or_create(name=name)
