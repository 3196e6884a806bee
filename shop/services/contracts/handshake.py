"""Whether contexts that live elsewhere still understand what is called here: asked now and then, shown by `/readyz`.

Only methods that a context hosted here may call count. One that does not answer is no mismatch: who calls it is told.
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.conf import settings

from shop.observability.health import OK, readiness
from shop.services.contracts.describing import Snapshot, described
from shop.services.contracts.finding import Contract
from shop.services.contracts.reading import Reading
from shop.services.contracts.storing import is_snapshot
from shop.services.transport.http.connections import NoAnswer, NotSent
from shop.services.transport.http.targets import target_of

KEPT_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 1.0
SUCCESS: Final = 200

_verdicts: Final[dict[str, tuple[float, str]]] = {}


def declare_handshake() -> None:
    """The kernel's `apps` comes in here."""
    if settings.CONTEXT_URLS and settings.CONTEXTS:
        readiness("contracts", contracts_ready)


def contracts_ready() -> dict[str, str]:
    """By context that lives elsewhere: whether it takes what is called here, and answers what is expected."""
    return {context: _verdict(context) for context in settings.CONTEXT_URLS}


def _verdict(context: str) -> str:
    at, verdict = _verdicts.get(context, (0.0, ""))
    if verdict and time.monotonic() < at + KEPT_SECONDS:
        return verdict
    theirs = _asked(context)
    if theirs is None:
        return verdict or OK
    faults = list(mismatches(described(Contract.known(context)), theirs, callers=frozenset(settings.CONTEXTS)))
    verdict = "; ".join(faults) or OK
    _verdicts[context] = time.monotonic(), verdict
    return verdict


def _asked(context: str) -> Snapshot | None:
    connections = target_of(context, settings.CONTEXT_URLS[context]).connections
    try:
        answer = connections.send("GET", f"/_svc/{context}/v1/contract", b"", {}, seconds=WAIT_SECONDS)
        found: Any = json.loads(answer.body) if answer.status == SUCCESS else None
    except (NotSent, NoAnswer, ValueError):
        return None
    return found if is_snapshot(found) else None


def mismatches(ours: Snapshot, theirs: Snapshot, *, callers: frozenset[str]) -> Iterator[str]:
    """What would go wrong in calls of ``callers``, who know ``ours``, to who provides ``theirs``."""
    asking = Reading(readers=theirs["types"], writers=ours["types"], reader_is_new=True, counts_removed=False)
    answering = Reading(readers=ours["types"], writers=theirs["types"], reader_is_new=False, counts_removed=False)
    for service, methods in ours["services"].items():
        for name, method in methods.items():
            if asked_by := callers & set(method["callers"]):
                place = f"{service}.{name}"
                there: Mapping[str, Any] | None = theirs["services"].get(service, {}).get(name)
                if there is None:
                    yield f"{place}: not there"
                    continue
                if refused := asked_by - set(there["callers"]):
                    yield f"{place}: refuses {', '.join(sorted(refused))}"
                if there["max_batch"] < method["max_batch"]:
                    yield f"{place}: takes {there['max_batch']} at once, not {method['max_batch']}"
                yield from (f"{place}: {each} differs" for each in ("kind", "key") if method[each] != there[each])
                yield from (f"{place}: {each}" for each in _unknown_errors(method, ours, there, theirs))
                yield from asking.refusals(there["arguments"], method["arguments"], place)
                yield from answering.refusals(method["returns"], there["returns"], f"{place} ->")


def _unknown_errors(
    method: Mapping[str, Any], ours: Snapshot, there: Mapping[str, Any], theirs: Snapshot
) -> Iterator[str]:
    """Codes that come from there and that nobody here knows."""
    known = {ours["errors"][name]["code"] for name in method["errors"]}
    for name in there["errors"]:
        code = theirs["errors"].get(name, {}).get("code", name)
        if code not in known:
            yield f"answers {code}, which is not known here"
