"""What auth stores about a customer, for the customer. Auth's `PersonalData` comes in here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contexts.auth.domain import MAX_ADDRESSES, Account, AddressCard
from contexts.auth.models import PasswordReset, TokenFamily
from contexts.auth.services.addresses import list_addresses
from contexts.auth.services.customers import account_of
from shop.gateway.tokens import TokenInvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One sign-in that is remembered."""

    session_id: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All that is stored; the newest first.

    Attributes:
        reset_expires_at: Of the token for a new password that was asked for, if any.
    """

    account: Account
    addresses: Sequence[AddressCard]
    sign_ins: Sequence[SignIn]
    reset_expires_at: datetime | None


def stored_about(*, customer_id: int) -> Stored | None:
    """What is stored about a customer; None if there is no such account. Database: four reads on their shard."""
    try:
        account = account_of(customer_id)
    except TokenInvalidError:
        return None
    families = TokenFamily.objects.on(customer_id).filter(account_id=customer_id, role=TokenFamily.Role.CUSTOMER)
    resets = PasswordReset.objects.on(customer_id).filter(customer_id=customer_id)
    return Stored(
        account=account,
        addresses=list_addresses(customer_id=customer_id, limit=MAX_ADDRESSES, after=None).rows,
        sign_ins=[_sign_in(family) for family in families.order_by("-pk")],
        reset_expires_at=resets.values_list("expires_at", flat=True).first(),
    )


def _sign_in(family: TokenFamily) -> SignIn:
    return SignIn(
        session_id=family.session_id,
        created_at=family.created_at,
        expires_at=family.expires_at,
        revoked_at=family.revoked_at,
    )
