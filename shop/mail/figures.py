"""How mails stand. The kernel's `apps` declares it; `/metrics` shows it."""

from shop.mail.models import Mail
from shop.observability.figures import MOST_ROWS, Reading, figure
from shop.sharding import context_of_alias, shard_map
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import owned


def declare_mails() -> None:
    """What waits, and what nobody will get, of every database hosted here."""
    figure(
        "shop_mails",
        f"Mails that wait to be sent, and those that were given up in the last 30 days; counted up to {MOST_ROWS}.",
        labels=("state",),
        aliases=all_aliases,
        read=_mails,
    )


def _mails(alias: str) -> Reading:
    """Database: the indexes of what is due and of what is dead."""
    rows = Mail.objects.using(alias).filter(owned(shard_map(context_of_alias(alias)), alias))
    waiting, dead = rows.filter(due_at__isnull=False), rows.filter(state=Mail.State.DEAD)
    return {("waiting",): waiting[:MOST_ROWS].count(), ("dead",): dead[:MOST_ROWS].count()}
