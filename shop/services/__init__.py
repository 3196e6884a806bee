"""Calls between contexts: `provide` an implementation, `resolve` an interface. Contexts come in here."""

from shop.services.calling import acting_as, acting_context, deadline, remaining_seconds
from shop.services.registry import each, provide, provider_in, resolve, substitute

__all__ = [
    "acting_as",
    "acting_context",
    "deadline",
    "each",
    "provide",
    "provider_in",
    "remaining_seconds",
    "resolve",
    "substitute",
]
