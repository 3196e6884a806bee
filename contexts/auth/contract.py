"""What other contexts may know about auth: its service, its data, its events, its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shop.contract import Event, PersonalData, Service, query


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerProfile:
    """A customer as mails and staff pages show one."""

    customer_id: str
    email: str
    name: str


class AuthService(Service):
    """Customers."""

    context = "auth"

    @query(callers=("ordering", "catalog"), max_batch=500)
    def profiles(self, *, customer_ids: Sequence[str]) -> tuple[CustomerProfile | None, ...]:
        """Profiles in the order asked; None where there is no such customer (any more)."""
        raise NotImplementedError


class AuthPersonalData(PersonalData):
    """Accounts, addresses and sign-ins."""

    context = "auth"
    callers = ("auth",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRegistered(Event):
    """Somebody has opened an account."""

    key: ClassVar[str] = "customer_id"
    shard_key: ClassVar[str] = "customer_id"

    customer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerErased(Event):
    """A customer has erased the account. Whoever stores anything about them erases it, or what says about whom."""

    key: ClassVar[str] = "customer_id"
    shard_key: ClassVar[str] = "customer_id"

    customer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRevoked(Event):
    """Sign-ins were ended: their access tokens must not be accepted any more."""

    key: ClassVar[str] = "account_id"
    shard_key: ClassVar[str] = "account_id"

    account_id: str
    session_ids: tuple[str, ...]
