"""What every context owes a customer: to say what it holds about them, and to forget it."""

from collections.abc import Mapping, Sequence

from shop.contract.service import Service, query, saga

type Json = str | int | bool | Sequence[Json] | Mapping[str, Json] | None


class PersonalData(Service):
    """What a context knows about customers. Every context provides it, and all are asked, none by its name.

    A contract declares its own: ``class TeaPersonalData(PersonalData)`` with ``context`` and with ``callers``, who may
    ask. It is the one interface that is called upstream to downstream, too.
    """

    @query(callers=(), timeout_seconds=10.0)
    def export(self, *, customer_id: str) -> Mapping[str, Json]:
        """Everything this context stores about a customer, in the words of the public API; empty where it is nothing.

        Args:
            customer_id: Decimal ID. Nobody needs to have such an account (any more).
        """
        raise NotImplementedError

    @saga(key="customer_id", callers=(), timeout_seconds=20.0)
    def erase(self, *, customer_id: str) -> None:
        """Erase what this context stores about a customer; what is kept does not say whom it was about.

        Safe to repeat, and repeated: what came in meanwhile, by a token that was still good, is erased too.

        Args:
            customer_id: Decimal ID of a customer who has erased the account.
        """
        raise NotImplementedError
