"""How far events are behind. The kernel's `apps` declares it; `/metrics` shows it."""

from datetime import UTC, datetime

from django.db.models import Count, Min

from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.observability.figures import MOST_ROWS, Reading, figure
from shop.sharding import context_of_alias, home_of, hosted_contexts, shard_map
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import owned

State = InboxEntry.State


def declare_figures() -> None:
    """Outbox and inbox of every database hosted here."""
    figure(
        "shop_outbox_pending",
        f"Events not yet handed over, by database; counted up to {MOST_ROWS}.",
        aliases=all_aliases,
        read=lambda alias: {(): _outbox(alias)[0]},
    )
    figure(
        "shop_outbox_oldest_seconds",
        "Age of the oldest event not yet handed over, by database; 0 where none waits.",
        aliases=all_aliases,
        read=lambda alias: {(): _outbox(alias)[1]},
    )
    figure(
        "shop_inbox_entries",
        f"Events whose handler failed: waiting to be tried again, or dead; counted up to {MOST_ROWS}.",
        labels=("state",),
        aliases=all_aliases,
        read=_inbox,
    )
    figure(
        "shop_parked_messages",
        f"Messages of a broker that can't be taken, by database; counted up to {MOST_ROWS}.",
        aliases=lambda: [home_of(context) for context in hosted_contexts()],
        read=lambda alias: {(): ParkedMessage.objects.using(alias)[:MOST_ROWS].count()},
    )


def _outbox(alias: str) -> tuple[int, float]:
    """Number and greatest age in seconds. Database: the index of what is due."""
    pending = OutboxEvent.objects.using(alias).filter(
        owned(shard_map(context_of_alias(alias)), alias), state=OutboxEvent.State.PENDING
    )
    first = pending.order_by("available_at", "id")[:MOST_ROWS]
    found = first.aggregate(n=Count("pk"), oldest=Min("created_at"))
    oldest = found["oldest"]
    return found["n"], max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else 0.0


def waiting_events(before: datetime) -> int:
    """Events published before that moment which some handler has not done with, dead ones aside; for commands."""
    return sum(_waiting_on(alias, before) for alias in all_aliases())


def _waiting_on(alias: str, before: datetime) -> int:
    here, old = owned(shard_map(context_of_alias(alias)), alias), {"created_at__lt": before}
    pending = OutboxEvent.objects.using(alias).filter(here, state=OutboxEvent.State.PENDING, **old)
    failed = InboxEntry.objects.using(alias).filter(here, state=State.RETRY, **old)
    return pending.count() + failed.count()


def dead_events() -> int:
    """Events that a handler has failed with for good, counted up to `MOST_ROWS` on each database."""
    return int(sum(_inbox(alias)[State.DEAD.value,] for alias in all_aliases()))


def _inbox(alias: str) -> Reading:
    """Database: the index of what is not done."""
    rows = InboxEntry.objects.using(alias).filter(owned(shard_map(context_of_alias(alias)), alias))
    return {(state.value,): rows.filter(state=state)[:MOST_ROWS].count() for state in (State.RETRY, State.DEAD)}
