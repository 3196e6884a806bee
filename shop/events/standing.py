"""What stands: events that wait, have failed or were parked. `manage.py events status` and the admin come in here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Count, Min

from shop.events.handlers import handlers_in
from shop.events.models import ParkedMessage
from shop.events.which import Which
from shop.sharding import home_of, hosted_contexts
from shop.sharding.readiness import all_aliases

type Row = dict[str, Any]


def status() -> dict[str, Any]:
    """What waits, what has failed and why, what is parked, and which databases did not answer. Database: all."""
    unasked: list[str] = []
    outboxes = _from_each(all_aliases(), _waiting, unasked)
    inboxes = _from_each(all_aliases(), _failed, unasked)
    parked = _from_each(map(home_of, hosted_contexts()), _parked, unasked)
    unknown = sorted({row["handler"] for row in inboxes} - handler_names())
    return {"outbox": outboxes, "inbox": inboxes, "parked": parked, "unknown_handlers": unknown, "unasked": unasked}


def handler_names() -> set[str]:
    """Handlers of this process."""
    return {handler.name for context in hosted_contexts() for handler in handlers_in(context)}


def _from_each(aliases: Iterable[str], read: Callable[[str], Iterator[Row]], unasked: list[str]) -> Sequence[Row]:
    rows: list[Row] = []
    for alias in aliases:
        if alias not in unasked:
            try:
                rows += [{"database": alias, **row} for row in read(alias)]
            except (OperationalError, InterfaceError):
                unasked.append(alias)
    return rows


def _waiting(alias: str) -> Iterator[Row]:
    rows = Which().pending(alias).values("topic")
    for row in rows.annotate(events=Count("pk"), oldest=Min("created_at")).order_by("topic"):
        yield {"topic": row["topic"], "events": row["events"], "seconds": _age(row["oldest"])}


def _failed(alias: str) -> Iterator[Row]:
    rows = Which().failed(alias).values("handler", "state", "reason")
    for row in rows.annotate(events=Count("pk"), oldest=Min("created_at")).order_by("handler", "state", "reason"):
        yield {name: row[name] for name in ("handler", "state", "reason", "events")} | {"seconds": _age(row["oldest"])}


def _parked(alias: str) -> Iterator[Row]:
    rows = ParkedMessage.objects.using(alias).values("topic", "reason")
    for row in rows.annotate(messages=Count("pk"), oldest=Min("created_at")).order_by("topic", "reason"):
        yield {name: row[name] for name in ("topic", "reason", "messages")} | {"seconds": _age(row["oldest"])}


def _age(moment: datetime) -> int:
    return max(0, round((datetime.now(UTC) - moment).total_seconds()))
