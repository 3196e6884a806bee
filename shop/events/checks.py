"""A check of `manage.py check --database`: no event waits for a handler that is gone. The kernel's `apps` adds it."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error

from shop.events.handlers import handler_named
from shop.events.which import Which
from shop.sharding.readiness import all_aliases, unapplied

HINT = "give the handler its name back, or give them up: `manage.py events skip --handler {} --since … --reason …`"


def check_handlers(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Each handler that an event waits for, or is dead at, exists: it was renamed or removed too early otherwise."""
    return [
        Error(f"{alias}: events wait for {name}, which is no handler", HINT.format(name), id="shop.E010")
        for alias in databases or ()
        if alias in all_aliases() and not unapplied(alias)
        for name in Which().failed(alias).order_by("handler").values_list("handler", flat=True).distinct()
        if handler_named(name) is None
    ]
