"""Who does which chore on a database. Saves double work between processes; nothing relies on it for correctness."""

import uuid
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from django.db import IntegrityError

from shop.events.models import Duty

HOLD_SECONDS: Final = 3.0

_held: dict[tuple[str, str], tuple[uuid.UUID, float]] = {}
"""By database and name: our token, and when it was renewed last; monotonic seconds."""
_seen: dict[tuple[str, str], tuple[datetime, float]] = {}
"""Until when others said that they have it, and since when they have said so."""


def on_duty(alias: str, name: str) -> bool:
    """Whether this thread's process does ``name`` on ``alias`` now; takes the duty over when its holder is gone.

    Gone is also who has not renewed it for as long as it is held, whatever until when: that was another clock's word.

    Database: ``alias``, a write each second or two.
    """
    now, moment = datetime.now(UTC), monotonic()
    token, renewed_at = _held.get((alias, name), (uuid.uuid4(), moment - HOLD_SECONDS))
    if moment - renewed_at < HOLD_SECONDS / 2:
        return True
    rows = Duty.objects.using(alias).filter(name=name)
    fresh = now + timedelta(seconds=HOLD_SECONDS)
    taken = rows.filter(token=token).update(until=fresh) or rows.filter(until__lt=now).update(token=token, until=fresh)
    if not taken:
        said = rows.values_list("until", flat=True).first()
        if said is None:
            taken = _begin(alias, name, token, fresh)
        elif _stands_still(alias, name, said, moment):
            taken = rows.filter(until=said).update(token=token, until=fresh)
    if taken:
        _held[alias, name] = token, moment
        _seen.pop((alias, name), None)
    else:
        _held.pop((alias, name), None)
    return bool(taken)


def _begin(alias: str, name: str, token: uuid.UUID, until: datetime) -> int:
    try:
        Duty.objects.using(alias).create(name=name, token=token, until=until)
    except IntegrityError:
        return 0
    return 1


def _stands_still(alias: str, name: str, said: datetime, moment: float) -> bool:
    before, since = _seen.get((alias, name), (said, moment))
    _seen[alias, name] = said, since if said == before else moment
    return said == before and moment - since > HOLD_SECONDS


def lay_down(alias: str, name: str) -> None:
    """Leave the duty to the next process, at a clean stop."""
    held = _held.pop((alias, name), None)
    if held is not None:
        Duty.objects.using(alias).filter(name=name, token=held[0]).delete()
