"""Which contexts this process hosts, and where the others live. The one place that knows them all by name."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from django.utils.module_loading import import_string

from shop.addresses import http_address
from shop.contract import Service
from shop.settings import Env

KNOWN_CONTEXTS: Final = ("auth", "catalog", "ordering")
NONE: Final = "none"


def hosted_contexts(env: Env) -> tuple[str, ...]:
    """``CONTEXTS`` in the order of their stream; unset: all. ``none``: a gateway, which sends requests on."""
    given = env.words("CONTEXTS", KNOWN_CONTEXTS)
    if given == (NONE,):
        return ()
    for name in given:
        if name not in KNOWN_CONTEXTS:
            env.problems.append(f"CONTEXTS: {name!r} is no context; there are {', '.join(KNOWN_CONTEXTS)}")
    if not given:
        env.problems.append("CONTEXTS: names no context")
    if len(set(given)) < len(given):
        env.problems.append("CONTEXTS: a context is named twice")
    return tuple(name for name in KNOWN_CONTEXTS if name in given)


def urls_of_others(env: Env, hosted: tuple[str, ...]) -> dict[str, str]:
    """``<CONTEXT>_URL`` of contexts that live elsewhere."""
    given = {name: env.checked(f"{name.upper()}_URL", http_address, "") for name in KNOWN_CONTEXTS}
    urls = {name: url for name, url in given.items() if url}
    for name in urls:
        if name in hosted:
            env.problems.append(f"{name.upper()}_URL: {name} is hosted here, so it can't live elsewhere too")
    if not hosted and not env.problems:
        missing = [f"{name.upper()}_URL" for name in KNOWN_CONTEXTS if name not in urls]
        env.problems.extend(f"{name}: a gateway has to know where every context lives" for name in missing)
    return urls


def know_contracts() -> None:
    """Load what every context promises, hosted here or not: one that lives elsewhere is called by it."""
    for name in KNOWN_CONTEXTS:
        import_string(f"contexts.{name}.contract.__name__")


def switched_off(env: Env) -> frozenset[str]:
    """``SERVICE_KILL_SWITCH``: operations between contexts, like ``catalog.reserve``, that are refused."""
    names = frozenset(env.words("SERVICE_KILL_SWITCH"))
    for name in sorted(names):
        context, _, operation = name.partition(".")
        if operation not in _operations_of(context):
            env.problems.append(f"SERVICE_KILL_SWITCH: there is no operation {name!r}")
    return names


def _operations_of(context: str) -> Mapping[str, object]:
    """Operations that a context offers by name; a context that is none has none, and one may offer no service."""
    found: dict[str, object] = {}
    for interface in ("Service", "PersonalData"):
        with suppress(ImportError):
            offered: type[Service] = import_string(f"contexts.{context}.contract.{context.capitalize()}{interface}")
            found |= offered.operations
    return found
