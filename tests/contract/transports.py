"""Every way a call may travel; the contract tests of all contexts run on each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from shop.contract import ContextError, Kind, Service
from shop.services.registry import transport
from shop.services.transport import Call, Transport
from shop.services.transport.local import Local
from shop.services.transport.loopback import Loopback
from tests.contract.over_http import OverHttp

MAKERS: Final[dict[str, Callable[[Service], Transport]]] = {"local": Local, "loopback": Loopback, "http": OverHttp}
WAYS: Final = tuple(f"{kind}{twice}" for twice in ("", ", commands twice") for kind in MAKERS)


class Twice:
    """Sends every command a second time, as a caller does that lost the answer; the second answer counts.

    A repetition of what was refused must be refused with the same error and the same data.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    def send(self, call: Call) -> Any:
        """Carry ``call``, and again if it is a command."""
        if call.operation.kind is Kind.QUERY:
            return self._inner.send(call)
        try:
            self._inner.send(call)
        except ContextError as first:
            self._expect_again(call, first)
            raise
        return self._inner.send(call)

    def _expect_again(self, call: Call, first: ContextError) -> None:
        try:
            self._inner.send(call)
        except ContextError as again:
            if (type(again), vars(again)) == (type(first), vars(first)):
                return
            raise AssertionError(f"{call.operation.name} was refused as {first!r}, and then as {again!r}") from None
        raise AssertionError(f"{call.operation.name} was refused as {first!r}, and not when it came again")


@contextmanager
def travelling(way: str, settings: Any) -> Iterator[None]:
    """Let every call inside the block travel ``way``."""
    kind, _, twice = way.partition(", ")
    settings.SERVICE_TRANSPORT = carrier = "loopback" if kind == "http" else kind
    make = MAKERS[kind]

    def made(provider: Service) -> Transport:
        return Twice(make(provider)) if twice else make(provider)

    with transport(carrier, made):
        yield
