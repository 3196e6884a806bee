"""Who handles what: filled by `@on` in the contexts' `tasks`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shop.contract import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One subscription.

    Attributes:
        name: ``<context>.<function>``; stored in inbox rows, so it stays when code moves.
        context: The consuming context.
        event_type: What it handles.
        run: The function.
        atomic: Effect and inbox row commit together on the consumer's shard; such a handler calls no service. Otherwise
            it runs outside any transaction and must be safe to repeat.
        latest_wins: A later event of the same key makes earlier ones needless, so nothing is held back.
    """

    name: str
    context: str
    event_type: type[Event]
    run: Callable[[Any], None]
    atomic: bool
    latest_wins: bool


_handlers: dict[str, Handler] = {}


def on[E: Event](
    event_type: type[E], *, atomic: bool = True, latest_wins: bool = False
) -> Callable[[Callable[[E], None]], Callable[[E], None]]:
    """Handle events of ``event_type`` in the context whose `tasks` module holds the function.

    Raises:
        TypeError: The event's keys are not fields of it, or the handler's name is taken.
    """
    event_type.check()

    def register(function: Callable[[E], None]) -> Callable[[E], None]:
        context = function.__module__.split(".")[1]
        name = f"{context}.{function.__name__}"
        if name in _handlers:
            raise TypeError(f"two handlers are named {name}")
        _handlers[name] = Handler(
            name=name,
            context=context,
            event_type=event_type,
            run=function,
            atomic=atomic,
            latest_wins=latest_wins,
        )
        return function

    return register


def handlers_of(topic: str) -> Sequence[Handler]:
    """Handlers of ``topic`` in this process."""
    return [handler for handler in _handlers.values() if handler.event_type.topic() == topic]


def handlers_in(context: str) -> Sequence[Handler]:
    """Handlers that ``context`` has in this process."""
    return [handler for handler in _handlers.values() if handler.context == context]


def handler_named(name: str) -> Handler | None:
    """The handler with this name, if it still exists."""
    return _handlers.get(name)
