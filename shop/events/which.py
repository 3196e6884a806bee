"""Which events are meant: for those who look after them. Each row is seen at its owner only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from shop.events.models import InboxEntry, OutboxEvent
from shop.events.retention import kept
from shop.sharding import context_of_alias, shard_map
from shop.sharding.scatter import owned

Fate = InboxEntry.State
Way = OutboxEvent.State
MOST_ID: Final = 2**63 - 1
OPEN_ENTRY: Final = Q(state=Fate.RETRY) | Q(state=Fate.DEAD)
"""Said so that each half finds its own index."""


def event_id(text: str) -> int:
    """The ID that a text is.

    Raises:
        ValueError: It is none that any event could have.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST_ID)) and int(text) <= MOST_ID):
        raise ValueError(f"{text[:30]} is no event's ID")
    return int(text)


def moment(found: datetime) -> datetime:
    """A moment that databases can be asked for, in UTC.

    Raises:
        ValueError: It is before all years, or behind them.
    """
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{found.isoformat()} is no moment of any year") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which events are meant; what is left empty says nothing.

    Attributes:
        events: Their IDs.
        topic: ``ordering.order_placed.v1``.
        handler: ``ordering.commit_stock_on_order_placed``: of a handler's entries, only this one's.
        since: Published then or later.
        until: Published before.
    """

    events: Sequence[int] = ()
    topic: str = ""
    handler: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        """For the audit."""
        told = {
            "events": ", ".join(map(str, self.events)),
            "topic": self.topic,
            "handler": self.handler,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return " ".join(f"{name} {value}" for name, value in told.items() if value) or "everything"

    def published(self, alias: str) -> QuerySet[OutboxEvent]:
        """Rows of one outbox. Database: ``alias``."""
        found = OutboxEvent.objects.using(alias).filter(_here(alias), *self._when())
        return found.filter(
            *([Q(pk__in=self.events)] if self.events else []),
            *([Q(topic=self.topic)] if self.topic else []),
        )

    def failed(self, alias: str) -> QuerySet[InboxEntry]:
        """Rows of one inbox that are dead or wait for another try. Database: ``alias``."""
        found = InboxEntry.objects.using(alias).filter(OPEN_ENTRY, _here(alias), *self._when())
        return found.filter(
            *([Q(event_id__in=self.events)] if self.events else []),
            *([Q(envelope__topic=self.topic)] if self.topic else []),
            *([Q(handler=self.handler)] if self.handler else []),
        )

    def pending(self, alias: str) -> QuerySet[OutboxEvent]:
        """Rows of one outbox that are not handed over; none with a handler named, since they are everybody's."""
        return self.published(alias).none() if self.handler else self.published(alias).filter(state=Way.PENDING)

    def replayable(self, alias: str) -> QuerySet[OutboxEvent]:
        """Rows of one outbox that were handed over, and that every inbox still remembers. Database: ``alias``."""
        return self.published(alias).filter(state=Way.HANDED_OVER, created_at__gte=datetime.now(UTC) - kept())

    def _when(self) -> Sequence[Q]:
        bounds: dict[str, Any] = {"created_at__gte": self.since, "created_at__lt": self.until}
        return [Q((name, moment)) for name, moment in bounds.items() if moment]


def _here(alias: str) -> Q:
    return owned(shard_map(context_of_alias(alias)), alias)
