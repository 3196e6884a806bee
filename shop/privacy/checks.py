"""A check: no context keeps to itself what it knows of customers. The kernel's `apps` adds it."""

from typing import Any

from django.core.checks import CheckMessage, Error

from shop.contract import PersonalData
from shop.services import provider_in
from shop.sharding import hosted_contexts

HINT = "declare its own in its contract, and `provide` it in `apps`; nothing to tell is an answer too"


def check_personal_data(**_: Any) -> list[CheckMessage]:
    """Every context hosted here provides `PersonalData`: what it holds would be in no export, and never be erased."""
    return [
        Error(f"{context} provides no PersonalData", HINT, id="shop.E012")
        for context in hosted_contexts()
        if not _provides(context)
    ]


def _provides(context: str) -> bool:
    try:
        provider_in(context, PersonalData)
    except LookupError:
        return False
    return True
