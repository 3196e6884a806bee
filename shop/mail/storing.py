"""Storing a mail: a row that says what it is about, in the transaction of its cause."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shop.events.publishing import causation
from shop.events.wake import wake_slow_jobs
from shop.mail.letters import writer_of
from shop.mail.models import Mail
from shop.sharding import new_id
from shop.sharding.scope import required_scope
from shop.sharding.together import insert_if_new

LIVES: Final = timedelta(days=3)


def store_mail(kind: str, *, about: int, facts: Mapping[str, Any] | None = None, lives: timedelta = LIVES) -> bool:
    """Have the letter ``kind`` of the open transaction's context sent once it has committed.

    Within a handler once for each event, however often that comes; elsewhere once for each call.

    Args:
        kind: Name of the function that writes it.
        about: ID of what it is about, on the shard of the open transaction.
        facts: What it needs besides; nothing personal, no secret.
        lives: How long somebody wants it.

    Returns: Whether the event at hand had not stored it before.

    Raises:
        LookupError: Nobody writes such letters.
        ShardScopeMissing: No transaction is open.
    """
    scope = required_scope("storing a mail")
    name, context = f"{scope.context}.{kind}", scope.context
    writer_of(name)
    number, now = new_id(context, near=about), datetime.now(UTC)
    row = Mail(
        id=number,
        kind=name,
        origin=causation.get() or str(number),
        about=about,
        facts=dict(facts or {}),
        created_at=now,
        due_at=now,
        give_up_at=now + lives,
    )
    scope.on_commit(lambda: wake_slow_jobs(context))
    return insert_if_new(context, row)
