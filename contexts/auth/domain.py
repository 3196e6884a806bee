"""Auth's pure rules, and the errors that refuse what breaks them. All of auth comes in."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shop.contract import ConflictError, Fault, InvalidError, UnauthenticatedError

MAX_EMAIL: Final = 254
MAX_LOCAL_PART: Final = 64
MAX_NAME: Final = 200
MAX_LINE: Final = 200
MAX_POSTAL_CODE: Final = 20
MAX_ADDRESSES: Final = 100
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 128
REFRESH_LIFETIME: Final = timedelta(days=30)
REFRESH_PREFIX: Final = "fam"
RESET_LIFETIME: Final = timedelta(minutes=30)
RESET_PREFIX: Final = "rst"

_LOCAL_PART = re.compile(r"""[^\s@.,:;<>()\[\]"\\]+(\.[^\s@.,:;<>()\[\]"\\]+)*""")
_LABEL = r"(?!-)(?:[a-z0-9-]|[^\x00-\x7f]){1,63}(?<!-)"
_DOMAIN = re.compile(rf"({_LABEL}\.)+(?!\d+$){_LABEL}")
_INVISIBLE = ("C", "Z")


class InvalidEmailError(InvalidError):
    """Not an e-mail address."""

    code = "invalid_email"


class PasswordTooWeakError(InvalidError):
    """Too short, too long, or one that everybody uses."""

    code = "password_too_weak"


class EmailTakenError(ConflictError):
    """Another account has this e-mail address."""

    code = "email_taken"


class TooManyAddressesError(InvalidError):
    """The address book is full."""


class TokenReusedError(UnauthenticatedError):
    """A refresh token came a second time: whoever has it is not alone, so the whole sign-in ends."""

    code = "token_reused"


class ResetTokenInvalidError(InvalidError):
    """Not a reset token that is still good: unknown, used, too old, or a newer one was asked for."""

    code = "token_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer as it sees itself."""

    customer_id: int
    email: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressCard:
    """A postal address as its customer sees it; ``line2`` and ``region`` may be empty."""

    id: int
    name: str
    line1: str
    line2: str
    city: str
    region: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a sign-in gives. Both texts are secrets: they go to the client and nowhere else."""

    access: str
    refresh: str
    expires_in: int


def fold_email(text: str) -> str:
    """The one form under which an address is stored, compared and shown. Folding twice changes nothing."""
    folded = unicodedata.normalize("NFKC", text).strip()
    # Lower case may take letters apart that NFKC had joined, and the other way round.
    return unicodedata.normalize("NFKC", folded.lower())


def email_of(text: str) -> str:
    """The folded address.

    Raises:
        InvalidEmailError: It is none.
    """
    folded = fold_email(text)
    local_part, _, domain = folded.rpartition("@")
    if (
        len(folded) > MAX_EMAIL
        or len(local_part) > MAX_LOCAL_PART
        or any(unicodedata.category(character)[0] in _INVISIBLE for character in folded)
        or not _LOCAL_PART.fullmatch(local_part)
        or not _DOMAIN.fullmatch(domain)
    ):
        detail = f"must be an e-mail address of at most {MAX_EMAIL} characters"
        raise InvalidEmailError(detail=detail, faults=(Fault(field="email", code="invalid_email", detail=detail),))
    return folded


def check_password_length(password: str, *, field: str = "password") -> None:
    """Refuse what is too short to be safe, or longer than anybody types.

    Raises:
        PasswordTooWeakError: It is.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise too_weak(f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters", field=field)


def too_weak(detail: str, *, field: str = "password") -> PasswordTooWeakError:
    """The refusal of a password. It never repeats the password."""
    return PasswordTooWeakError(detail=detail, faults=(Fault(field=field, code="password_too_weak", detail=detail),))
