"""How a call gets to its provider: `local`, `loopback`; HTTP joins them as a third module of this package."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from shop.contract import Operation, Service


class Call(NamedTuple):
    """One call on its way.

    Attributes:
        interface: Which service.
        operation: Which method.
        arguments: Its arguments by name.
        caller: The calling context.
    """

    interface: type[Service]
    operation: Operation
    arguments: Mapping[str, Any]
    caller: str


class Transport(Protocol):
    """Carries a call and brings back its answer, or raises what the callee raised."""

    def send(self, call: Call) -> Any:
        """Carry ``call``.

        Raises:
            ContextError: As the callee declared, or a transport error.
        """
        ...
