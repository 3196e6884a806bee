"""Who does which chore on a database. Saves double work between processes; nothing relies on it for correctness."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import IntegrityError

from shop.events.models import Duty

HOLD_SECONDS: Final = 3.0

_held: dict[tuple[str, str], tuple[uuid.UUID, datetime]] = {}


def on_duty(alias: str, name: str) -> bool:
    """Whether this thread's process does ``name`` on ``alias`` now; takes the duty over when its holder is gone.

    Database: ``alias``, a write each second or two.
    """
    now = datetime.now(UTC)
    token, until = _held.get((alias, name), (uuid.uuid4(), now))
    if until - now > timedelta(seconds=HOLD_SECONDS / 2):
        return True
    rows = Duty.objects.using(alias).filter(name=name)
    fresh = now + timedelta(seconds=HOLD_SECONDS)
    taken = rows.filter(token=token).update(until=fresh) or rows.filter(until__lt=now).update(token=token, until=fresh)
    if not taken and not rows.exists():
        try:
            Duty.objects.using(alias).create(name=name, token=token, until=fresh)
            taken = 1
        except IntegrityError:
            taken = 0
    if taken:
        _held[alias, name] = token, fresh
    else:
        _held.pop((alias, name), None)
    return bool(taken)


def lay_down(alias: str, name: str) -> None:
    """Leave the duty to the next process, at a clean stop."""
    held = _held.pop((alias, name), None)
    if held is not None:
        Duty.objects.using(alias).filter(name=name, token=held[0]).delete()
