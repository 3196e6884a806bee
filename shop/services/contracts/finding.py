"""What a context's `contract.py` declares: services, events and errors, found in the module itself."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Self

from django.apps import apps

from shop.contract import ContextError, Event, Service

FILE: Final = "contract.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One context's contract, and where its snapshot lies."""

    context: str
    services: tuple[type[Service], ...]
    events: tuple[type[Event], ...]
    errors: tuple[type[ContextError], ...]
    path: Path

    @classmethod
    def of(cls, context: str) -> Self:
        """The contract of a hosted context."""
        app = apps.get_app_config(f"shop_{context}")
        module = sys.modules[f"{app.name}.contract"]
        return cls.declared_in(module, context=context, path=Path(app.path) / FILE)

    @classmethod
    def known(cls, context: str) -> Self:
        """The contract of a context that lives elsewhere, as this process knows it."""
        module = next(kind.__module__ for kind in _services(Service) if kind.context == context)
        return cls.declared_in(sys.modules[module], context=context, path=Path())

    @classmethod
    def declared_in(cls, module: ModuleType, *, context: str, path: Path) -> Self:
        """What ``module`` itself declares; an event that others inherit from is none itself."""
        found = list(_classes(module))
        services = tuple(kind for kind in found if issubclass(kind, Service))
        events = [kind for kind in found if issubclass(kind, Event)]
        own = {kind for kind in found if issubclass(kind, ContextError)}
        raised = {e for service in services for operation in service.operations.values() for e in operation.errors}
        return cls(
            context=context,
            services=services,
            events=tuple(kind for kind in events if not any(kind in other.__bases__ for other in events)),
            errors=tuple(sorted(own | raised, key=lambda kind: kind.__name__)),
            path=path,
        )


def _classes(module: ModuleType) -> Iterator[type]:
    return (each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__)


def _services(kind: type[Service]) -> Iterator[type[Service]]:
    """Every contract that was loaded, of those modules that are one."""
    for each in kind.__subclasses__():
        if "context" in vars(each) and each.__module__.endswith(".contract"):
            yield each
        yield from _services(each)
