"""Payment providers behind one port. A provider is asked outside of any transaction, under a key stored before."""

from dataclasses import dataclass
from typing import Protocol

from contexts.ordering.contract import UnknownProviderError
from contexts.ordering.domain import AttemptStatus
from shop.contract import Fault, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a provider says about one payment.

    Attributes:
        reference: The provider's own name of it.
        status: Where it stands.
        amount: What was taken, or would be, in minor units.
        failure_code: Why it failed.
    """

    reference: str
    status: AttemptStatus
    amount: int
    failure_code: str = ""


class PaymentProvider(Protocol):
    """What every provider can do. The same key always means the same intent, however often it is sent."""

    def knows(self, token: str) -> bool:
        """Whether ``token`` has the form of this provider's tokens."""
        ...

    def create(self, *, key: str, payment_id: str, amount: Money, token: str) -> Intent:
        """Take ``amount`` from whoever ``token`` stands for."""
        ...

    def cancel(self, *, key: str) -> Intent:
        """Close the intent unless money was taken; one that never came is closed for ever. Says how it stands."""
        ...

    def refund(self, *, key: str, reference: str, amount: Money) -> str:
        """Give ``amount`` of an intent back; returns the refund's reference."""
        ...


_providers: dict[str, PaymentProvider] = {}


def offer(name: str, provider: PaymentProvider) -> None:
    """Let orders be paid through ``provider``; ordering's `apps` says which there are."""
    _providers[name] = provider


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
