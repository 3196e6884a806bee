"""The rows that stand, over all databases, each once. What events say is on no page: some of it is personal data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.utils import label_for_field
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.urls import reverse

from shop.events.broker.parked import WhichParked, parked
from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.events.which import OPEN_ENTRY, Fate, Way
from shop.staff.spread import DATABASE, FirstPages, Rows, databases_of

type Pages = Paginator[Any]
type OnePage = Page[Any]

PER_PAGE: Final = 50
MOST_PARKED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a list.

    Attributes:
        ticked: What its box sends.
        database: Where it lies.
        address: Of its page in the admin.
        cells: What it shows, by the list's columns.
    """

    ticked: str
    database: str
    address: str
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list.

    Attributes:
        title: What it lists.
        box: Name of the field that its boxes send.
        columns: Names of what rows show; the first one leads to the row's page.
        filters: What can be asked for in its address.
        states: Those of its rows that it leads to.
        acts: What can be done to its rows.
        read: Its pages, for what is asked for.
    """

    title: str
    box: str
    model: type[Model]
    columns: Sequence[str]
    filters: Sequence[str]
    states: Sequence[str]
    acts: Sequence[str]
    read: Callable[[dict[str, str]], Pages]

    @property
    def headings(self) -> list[str]:
        """What stands above its columns."""
        return [str(label_for_field(name, self.model)) for name in self.columns]

    def page(self, asked: QueryDict) -> tuple[OnePage, list[Row]]:
        """A page, and its rows as they are shown."""
        told = {name: str(asked[name]) for name in self.filters if asked.get(name) and str(asked[name]).isprintable()}
        page = self.read(told).get_page(asked.get("p", 1))
        return page, [self._shown(row) for row in page.object_list]

    def _shown(self, row: Any) -> Row:
        cells = [getattr(row, name) for name in self.columns]
        ticked = {"entry": "{0.event_id} {0.handler}", "event": "{0.pk} {0.topic}", "message": "{0.pk}"}[self.box]
        database = str(row._state.db)
        page = reverse(f"admin:shop_{self.model._meta.model_name}_change", args=[row.pk])
        return Row(ticked=ticked.format(row), database=database, address=f"{page}?{DATABASE}={database}", cells=cells)


def _pages(rows: QuerySet[Any], asked: dict[str, str]) -> Pages:
    database = asked.pop(DATABASE, "")
    if database and database not in databases_of(rows.model):
        return Paginator([], PER_PAGE)
    spread: Any = Rows(rows.filter(**asked), database)
    return FirstPages(spread, PER_PAGE)


def _failed(asked: dict[str, str]) -> Pages:
    rows = InboxEntry.objects.all() if "state" in asked else InboxEntry.objects.filter(OPEN_ENTRY)
    return _pages(rows.defer("envelope"), asked)


def _published(asked: dict[str, str]) -> Pages:
    return _pages(OutboxEvent.objects.defer("payload"), {"state": Way.PENDING, **asked})


def _parked(asked: dict[str, str]) -> Pages:
    which = WhichParked(topic=asked.get("topic", ""), reason=asked.get("reason", ""))
    return Paginator([row for _, row in parked(which, MOST_PARKED)], MOST_PARKED)


LISTS: Final = {
    "failed": Listing(
        title="Events at handlers",
        box="entry",
        model=InboxEntry,
        columns=("event_id", "handler", "state", "attempts", "reason", "key", "event_seq", "next_at", "created_at"),
        filters=(DATABASE, "handler", "state", "reason", "key"),
        states=(Fate.DEAD, Fate.RETRY, Fate.SKIPPED),
        acts=("requeue", "skip"),
        read=_failed,
    ),
    "published": Listing(
        title="Events in outboxes",
        box="event",
        model=OutboxEvent,
        columns=("id", "topic", "state", "reason", "key", "event_seq", "available_at", "created_at"),
        filters=(DATABASE, "topic", "state", "key"),
        states=(Way.PENDING, Way.SKIPPED, Way.HANDED_OVER),
        acts=("skip", "replay"),
        read=_published,
    ),
    "parked": Listing(
        title="Parked messages",
        box="message",
        model=ParkedMessage,
        columns=("digest", "topic", "reason", "created_at"),
        filters=("topic", "reason"),
        states=(),
        acts=("take", "discard"),
        read=_parked,
    ),
}
