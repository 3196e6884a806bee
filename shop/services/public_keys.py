"""Public keys by context: of those hosted here from their rings, of the others from where they live, for minutes."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings
from jwt.algorithms import ECAlgorithm

from shop.contract import UnavailableError
from shop.services.keys import key_ring
from shop.services.transport.http.connections import Connections, NoAnswer, NotSent

log = structlog.get_logger(__name__)

KEPT_SECONDS: Final = 300.0
WATCH_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 2.0
"""Whoever sends tokens with unknown keys makes us ask this often, not more."""
ASK_SECONDS: Final = 1.0
OK: Final = 200


@dataclass(frozen=True, slots=True)
class _Known:
    keys: Mapping[str, Any]
    published: Mapping[str, Any]
    asked_at: float
    is_answer: bool = True


_known: Final[dict[str, _Known]] = {}


def public_key(context: str, kid: str) -> Any:
    """The key ``kid`` of ``context``.

    Raises:
        LookupError: It has no such key, or lives nowhere.
        UnavailableError: It does not answer, and may have it.
    """
    if _is_ours(context):
        return key_ring(context).public[kid]
    known = _lately(context, kid)
    if kid not in known.keys and not known.is_answer:
        raise UnavailableError(detail=f"{context} does not say its public keys")
    return known.keys[kid]


def published(context: str) -> Mapping[str, Any]:
    """The JWKS of a context, wherever it lives.

    Raises:
        LookupError: Nobody says so.
    """
    if _is_ours(context):
        return key_ring(context).jwks()
    return _lately(context).published


def _is_ours(context: str) -> bool:
    """Whether its ring lies here: it is hosted, or it is auth's, and nobody says that auth lives elsewhere."""
    return context in settings.CONTEXTS or (context == settings.STAFF_CONTEXT and context not in settings.CONTEXT_URLS)


def _lately(context: str, kid: str = "") -> _Known:
    """What the context has said, asked for again where that is old or does not have ``kid``."""
    url = settings.CONTEXT_URLS[context]
    known = _known.get(context)
    age = time.monotonic() - known.asked_at if known else KEPT_SECONDS
    if known is None or age >= KEPT_SECONDS or (kid and kid not in known.keys and age >= AGAIN_SECONDS):
        known = _asked(context, url, known)
    return known


def _asked(context: str, url: str, before: _Known | None) -> _Known:
    """What the context says now; without an answer what was known before is kept."""
    now = time.monotonic()
    try:
        answer = Connections(url).send("GET", f"/_svc/{context}/v1/jwks", b"", {}, seconds=ASK_SECONDS)
        if answer.status != OK:
            raise ValueError(f"status {answer.status}")
        said = json.loads(answer.body)
        known = _Known({each["kid"]: ECAlgorithm.from_jwk(each) for each in said["keys"]}, said, now)
    except (NotSent, NoAnswer, ValueError, KeyError, TypeError) as error:
        if before is None or before.is_answer:  # told when it begins
            log.warning("public_keys_unknown", of=context, error=type(error).__name__)
        was = before or _Known({}, {"keys": []}, 0.0)
        known = _Known(was.keys, was.published, now - KEPT_SECONDS + AGAIN_SECONDS, is_answer=False)
    _known[context] = known
    return known


class KeyWatch:
    """Asks for the keys of contexts that live elsewhere before anybody needs them.

    Who asks only when a call comes would ask the process that waits for that call's answer: with all its threads, where
    it has just begun to call.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-watch", daemon=True)

    def start(self) -> None:
        """Begin, where some context lives elsewhere, and one that is hosted may be called by it; a gateway is not."""
        if settings.CONTEXT_URLS and settings.CONTEXTS:
            self._thread.start()

    def stop(self) -> None:
        """End after the present round."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            for context, url in settings.CONTEXT_URLS.items():
                known = _known.get(context)
                if known is None or not known.is_answer or time.monotonic() > known.asked_at + KEPT_SECONDS / 2:
                    _asked(context, url, known)
