"""Payment providers behind one port. A provider is asked outside of any transaction, under a key stored before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from contexts.ordering.contract import UnknownProviderError
from contexts.ordering.domain import AttemptStatus
from shop.contract import Fault, Money, UnavailableError


class ProviderAway(UnavailableError):
    """The provider was asked and no answer came. What was asked for may have happened."""

    code = "provider_away"


class RefundRefused(Exception):
    """The provider will never give this money back; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a provider says about one payment.

    Attributes:
        reference: The provider's own name of it.
        status: Where it stands.
        amount: What was taken, or would be, in minor units.
        failure_code: Why it failed.
        client_secret: What the customer's browser finishes it with, while it requires action. Never stored or logged.
    """

    reference: str
    status: AttemptStatus
    amount: int
    failure_code: str = ""
    client_secret: str = field(default="", repr=False)


class PaymentProvider(Protocol):
    """What every provider can do. The same key always means the same intent, however often it is sent.

    Every method but `knows` and `is_genuine` may raise `ProviderAway`: after some seconds without an answer it must.
    """

    def knows(self, token: str) -> bool:
        """Whether ``token`` has the form of this provider's tokens."""
        ...

    def create(self, *, key: str, payment_id: str, amount: Money, token: str) -> Intent:
        """Take ``amount`` from whoever ``token`` stands for; ``payment_id`` is what its webhooks will name."""
        ...

    def read(self, *, key: str) -> Intent | None:
        """How the intent stands; None: it never came."""
        ...

    def hear(self, *, key: str, report: str) -> Intent | None:
        """How the intent stands once this provider has sent a webhook of the type ``report``; None: it never came."""
        ...

    def cancel(self, *, key: str) -> Intent:
        """Close the intent unless money was taken; one that never came is closed for ever. Says how it stands."""
        ...

    def refund(self, *, key: str, reference: str, amount: Money) -> str:
        """Give ``amount`` of an intent back; returns the refund's reference.

        Raises:
            RefundRefused: Asked again it will say the same.
        """
        ...

    def is_genuine(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether this provider signed the raw ``body`` of a webhook, not long ago."""
        ...


_providers: dict[str, PaymentProvider] = {}


def offer(name: str, provider: PaymentProvider) -> None:
    """Let orders be paid through ``provider``; ordering's `apps` says which there are."""
    _providers[name] = provider


def is_offered(name: str) -> bool:
    """Whether orders can be paid through the provider of that name."""
    return name in _providers


def provider_named(name: str) -> PaymentProvider:
    """The provider.

    Raises:
        UnknownProviderError: There is none of that name.
    """
    found = _providers.get(name)
    if found is None:
        fault = Fault(field="provider", code=UnknownProviderError.code, detail="there is no such provider")
        raise UnknownProviderError(detail=fault.detail, faults=(fault,))
    return found
