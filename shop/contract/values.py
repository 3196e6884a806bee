"""Values that many contracts speak of."""

from dataclasses import dataclass
from typing import Literal

type Role = Literal["customer", "staff", "service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in the currency's minor units: 1299 EUR is 12.99 €, 1299 JPY is ¥1299."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts.

    Attributes:
        id: Decimal ID of the customer or staff account.
        role: What kind of account it is.
        roles: Staff roles; ``superuser`` stands for all of them. Empty for customers.
        session_id: The sign-in this token came from; revoking it ends the token.
    """

    id: str
    role: Role
    roles: tuple[str, ...] = ()
    session_id: str = ""

    @property
    def key(self) -> int:
        """The ID as a number: the shard key of everything that belongs to this principal."""
        return int(self.id)

    def may(self, role: str) -> bool:
        """Whether a staff account holds ``role``."""
        return self.role == "staff" and (role in self.roles or "superuser" in self.roles)
