"""The provider in this process, but reached through the JSON codec as over HTTP. For tests, or opt-in."""

from typing import Any

from shop.contract import ContextError, Service
from shop.services import codec
from shop.services.provider import run
from shop.services.transport import Call


class Loopback:
    """Encodes the arguments, decodes them for the provider, and the same for what comes back."""

    def __init__(self, provider: Service) -> None:
        self._provider = provider

    def send(self, call: Call) -> Any:
        """Carry the call through JSON both ways."""
        wire = codec.dump_arguments(call.operation, call.arguments)
        received = Call(
            interface=call.interface,
            operation=call.operation,
            arguments=codec.load_arguments(call.operation, wire),
            caller=call.caller,
        )
        try:
            answer = run(self._provider, received)
        except ContextError as error:
            raise codec.load_error(call.operation, codec.dump_error(error)) from None
        return codec.load_answer(call.operation, codec.dump_answer(call.operation, answer))
