"""Messages that could not be taken, and what becomes of them: taken after all, or thrown away with a reason."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db.models import Q, QuerySet

from shop.events.batches import hand_over
from shop.events.broker.sealing import NotBelieved, unseal
from shop.events.models import ParkedMessage
from shop.sharding import home_atomic, home_of, hosted_contexts

log = structlog.get_logger(__name__)

NEVER_TOO_OLD: Final = timedelta(days=36_500)
"""Somebody has looked at it; and what an inbox may have forgotten has no effect by itself."""
RAW: Final = "raw"
"""What a message was, escaped, where it can't be stored as it is. Nobody has signed that."""


def park(message: Any, *, topic: str, reason: str, context: str = "") -> None:
    """Keep a message that can't be taken where staff see it: at the home of ``context``, or of the first one hosted."""
    text = json.dumps(message, sort_keys=True)
    kept = message if _can_be_stored(message) else {RAW: text}
    digest = hashlib.sha256(text.encode()).hexdigest()
    context = context or hosted_contexts()[0]
    with home_atomic(context) as scope:
        _, new = ParkedMessage.objects.using(scope.alias).get_or_create(
            digest=digest, defaults={"topic": _printable(topic)[:120], "reason": reason, "message": kept}
        )
    if new:
        log.error("message_parked", context=context, topic=topic, reason=reason)


def _can_be_stored(message: Any) -> bool:
    """Whether any database takes it: PostgreSQL has no NUL in a text, no half characters, and numbers that are some."""
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:
        return False
    return "\\u0000" not in text


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichParked:
    """Which parked messages are meant; what is left empty says nothing.

    Attributes:
        messages: What their digests begin with.
        topic: ``ordering.order_placed.v1``.
        reason: Why they were parked.
    """

    messages: Sequence[str] = ()
    topic: str = ""
    reason: str = ""

    def __str__(self) -> str:
        """For the audit."""
        told = {"messages": ", ".join(self.messages), "topic": self.topic, "parked for": self.reason}
        return " ".join(f"{name} {value}" for name, value in told.items() if value) or "everything"

    def at(self, context: str) -> QuerySet[ParkedMessage]:
        """Database: the home of ``context``."""
        digests = Q()
        for digest in self.messages:
            digests |= Q(digest__startswith=digest)
        found = ParkedMessage.objects.using(home_of(context)).filter(digests)
        return found.filter(
            *([Q(topic=self.topic)] if self.topic else []),
            *([Q(reason=self.reason)] if self.reason else []),
        )


def parked(which: WhichParked, most: int) -> Iterator[tuple[str, ParkedMessage]]:
    """The first of them with the contexts at whose homes they lie, without what is in them."""
    for context in hosted_contexts():
        for row in which.at(context).defer("message").order_by("created_at", "digest")[:most]:
            yield context, row


def count_parked(which: WhichParked) -> int:
    """How many. Database: the homes."""
    return sum(which.at(context).count() for context in hosted_contexts())


def take_again(which: WhichParked, *, by: str) -> tuple[int, int]:
    """Hand parked messages to handlers that know them by now, however old they are; how many were taken, and not.

    What is still not believed, or known, stays. Safe to repeat.

    Raises:
        OperationalError: An inbox can't be written. What was taken by then stays taken.
    """
    taken = left = 0
    for context, digest in _digests(which):
        if _take(context, digest):
            _delete(context, digest)
            taken += 1
        else:
            left += 1
    log.info("parked_taken", messages=taken, left=left, by=by)
    return taken, left


def discard(which: WhichParked, reason: str, *, by: str) -> int:
    """Throw parked messages away; returns how many. The reason is in the log."""
    gone = sum(_delete(context, digest) for context, digest in _digests(which))
    log.info("parked_discarded", messages=gone, reason=reason, by=by)
    return gone


def _digests(which: WhichParked) -> list[tuple[str, str]]:
    return [
        (context, digest)
        for context in hosted_contexts()
        for digest in which.at(context).order_by("created_at", "digest").values_list("digest", flat=True)
    ]


def _take(context: str, digest: str) -> bool:
    row = ParkedMessage.objects.using(home_of(context)).filter(digest=digest).first()
    if row is None:
        return False
    try:
        return hand_over(unseal(row.message, oldest=NEVER_TOO_OLD, keeper=context)) == []
    except NotBelieved:
        return False


def _delete(context: str, digest: str) -> int:
    with home_atomic(context) as scope:
        return ParkedMessage.objects.using(scope.alias).filter(digest=digest).delete()[0]
