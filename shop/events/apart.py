"""Events to contexts that live elsewhere, where no broker is: over HTTP, to each that has a handler for the topic.

A batch is handed over when every inbox that it belongs into has it, those of this process's own handlers too. Where one
is away its batches wait, and the others go on.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings

from shop.events.away import is_away
from shop.events.batches import hand_over
from shop.events.broker.sealing import seal
from shop.events.envelope import Envelope
from shop.events.relay import Batch
from shop.services.transport.http.connections import Answer, NoAnswer, NotSent
from shop.services.transport.http.targets import target_of

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 5.0
KNOWN_SECONDS: Final = 5.0
REST_SECONDS: Final = 1.0
"""Of a context that did not answer: nobody waits for it again at every batch. One that refuses a batch may well take
the next one."""
OK: Final = 200
SAID: Final = {"topics": "topics", "events": "taken"}
"""What an answer has to say."""


@dataclass(frozen=True, slots=True)
class _Known:
    topics: frozenset[str]
    until: float


class Neighbours:
    """Carries events to their contexts. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._resting: dict[str, float] = {}
        self._failing: set[tuple[str, str]] = set()

    def send(self, context: str, batches: Sequence[Batch]) -> Iterator[bool | None]:
        """Hand over what ``context`` has published.

        Yields:
            Of each batch: True, every inbox has it; None, somebody is away, and it has to come again.
        """
        for name in settings.CONTEXT_URLS:
            self._learn_topics(name)
        for topic, envelopes in batches:
            wanted = [name for name in settings.CONTEXT_URLS if self._may_handle(name, topic)]
            there = [name for name in wanted if self._is_taken(name, context, envelopes)]
            yield True if there == wanted and _is_taken_here(topic, envelopes) else None

    def _learn_topics(self, name: str) -> None:
        """Ask what a context handles, now and then: a new version of it may handle more."""
        known = self._known.get(name)
        if known is not None and time.monotonic() < known.until:
            return
        topics = self._told(name, "GET", "topics", b"")
        if isinstance(topics, list):
            self._known[name] = _Known(frozenset(map(str, topics)), time.monotonic() + KNOWN_SECONDS)

    def _may_handle(self, name: str, topic: str) -> bool:
        """Whether it does; yes, as long as it has never said so."""
        known = self._known.get(name)
        return known is None or topic in known.topics

    def _is_taken(self, name: str, producer: str, envelopes: Sequence[Envelope]) -> bool:
        body = json.dumps(seal(producer, envelopes)).encode()
        return name in self._known and bool(self._told(name, "POST", "events", body) == len(envelopes))

    def _told(self, name: str, method: str, what: str, body: bytes) -> Any:
        """What the answer says, see `SAID`; None where there is none that is ours."""
        if time.monotonic() < self._resting.get(name, 0.0):
            return None
        headers = {"Content-Type": "application/json"}
        connections = target_of(name, settings.CONTEXT_URLS[name]).connections
        try:
            answer = connections.send(method, f"/_svc/{name}/v1/{what}", body, headers, seconds=WAIT_SECONDS)
        except (NotSent, NoAnswer) as failed:
            status: int | str = type(failed).__name__
            self._resting[name] = time.monotonic() + REST_SECONDS
        else:
            if answer.status == OK and (told := _said(answer, SAID[what])) is not None:
                self._failing.discard((name, what))
                return told
            status = answer.status
        if (name, what) not in self._failing:  # told when it begins
            log.warning("events_not_taken", by=name, status=status)
        self._failing.add((name, what))
        return None


def _said(answer: Answer, name: str) -> Any:
    """What an answer says; None of one that is not ours: somebody in between says 200 as well."""
    try:
        return json.loads(answer.body)[name]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _is_taken_here(topic: str, envelopes: Sequence[Envelope]) -> bool:
    """Whether the inboxes of this process's own handlers have it."""
    try:
        hand_over(envelopes)
    except Exception as error:
        if not is_away(error):
            log.exception("hand_over_failed", topic=topic)
        return False
    return True
