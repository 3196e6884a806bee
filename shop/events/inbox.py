"""The consumer's side: every event's fate at every handler, recorded with its effect where one transaction can."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.db import IntegrityError

from shop.contract import ContextError
from shop.events.away import is_away
from shop.events.envelope import Envelope
from shop.events.handlers import Handler
from shop.events.models import InboxEntry
from shop.events.publishing import actor, causation
from shop.events.retention import is_remembered
from shop.observability.trace import traced
from shop.services import acting_as, deadline
from shop.sharding import alias_of, new_id, shard_atomic
from shop.sharding.scope import savepoint

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 5
HELD_BACK_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 2.0
HANDLER_SECONDS: Final = 20.0
FORGOTTEN: Final = "older_than_the_inbox"

State = InboxEntry.State


def receive(envelope: Envelope, handler: Handler) -> None:
    """Take an event for a handler. When this returns its fate is in the inbox, whatever it was. Safe to repeat.

    Raises:
        OperationalError: The inbox itself can't be written: the event stays where it came from.
    """
    alias = alias_of(handler.context, envelope.shard_key)
    known = InboxEntry.objects.using(alias).filter(handler=handler.name, event_id=envelope.event_id)
    if known.exists():
        return
    entry = new_entry(envelope, handler)
    if not is_remembered(envelope.event_id):
        _leave_to_staff(entry, handler, envelope)
        return
    if not handler.latest_wins and held_back(alias, entry):
        entry.state, entry.next_at = State.RETRY, _in(HELD_BACK_SECONDS)
        _store(entry, handler, envelope)
        return
    attempt(entry, envelope, handler, new=True)


@contextmanager
def acting_for(handler: Handler) -> Iterator[None]:
    """In the handler's context, for so long as it may take."""
    with acting_as(handler.context), deadline(HANDLER_SECONDS):
        yield


@contextmanager
def caused_by(envelope: Envelope) -> Iterator[None]:
    """On behalf of whoever caused the event, in its trace."""
    with traced(envelope.traceparent):
        who, why = actor.set(envelope.actor), causation.set(f"{envelope.topic}:{envelope.event_id}")
        try:
            yield
        finally:
            actor.reset(who)
            causation.reset(why)


def attempt(entry: InboxEntry, envelope: Envelope, handler: Handler, *, new: bool) -> None:
    """Run the handler once and record the outcome."""
    with caused_by(envelope), acting_for(handler):
        try:
            _run(entry, envelope, handler, new=new)
        except _Repeated:
            log.info("event_repeated", handler=handler.name, event_id=str(envelope.event_id))
        except Exception as error:
            note_failure(entry, envelope, handler, error)


class _Repeated(Exception):
    """Another delivery of the same event has been recorded meanwhile."""


def _run(entry: InboxEntry, envelope: Envelope, handler: Handler, *, new: bool) -> None:
    event = envelope.open(handler.event_type)
    alias = alias_of(handler.context, envelope.shard_key)
    if not handler.atomic and not (handler.latest_wins and _later_done(alias, entry)):
        handler.run(event)
    with shard_atomic(handler.context, envelope.shard_key):
        overtaken = handler.latest_wins and _later_done(alias, entry)
        _claim(entry, alias, new=new)
        if handler.atomic and not overtaken:
            handler.run(event)


def _claim(entry: InboxEntry, alias: str, *, new: bool) -> None:
    """Write DONE first: whoever delivers the same event meanwhile waits for this transaction, then finds it done."""
    if new:
        done = copy(entry)
        done.state = State.DONE
        try:
            with savepoint():
                done.save(using=alias, force_insert=True)
        except IntegrityError:
            raise _Repeated from None
        return
    open_rows = InboxEntry.objects.using(alias).filter(pk=entry.pk, state__in=(State.RETRY, State.DEAD))
    changed = open_rows.update(state=State.DONE, envelope=None, next_at=None, reason="", lease_token=None)
    if not changed:
        raise _Repeated


def note_failure(entry: InboxEntry, envelope: Envelope, handler: Handler, error: Exception) -> None:
    """Record that a try has failed: another one follows, later each time, or it was the last."""
    away = is_away(error)
    entry.attempts += 0 if away else 1
    entry.reason = error.code if isinstance(error, ContextError) else type(error).__name__
    dead = not away and entry.attempts >= MAX_ATTEMPTS
    entry.state = State.DEAD if dead else State.RETRY
    entry.next_at = None if dead else _in(AWAY_SECONDS if away else float(2**entry.attempts) / 4)
    entry.lease_token = entry.lease_until = None
    log.warning(
        "event_dead" if dead else "event_failed",
        handler=handler.name,
        event_id=str(envelope.event_id),
        attempts=entry.attempts,
        error=entry.reason,
        exc_info=None if isinstance(error, ContextError) else error,
    )
    _store(entry, handler, envelope)


def _leave_to_staff(entry: InboxEntry, handler: Handler, envelope: Envelope) -> None:
    """It was here and is forgotten, or it comes for the first time: nobody knows, so it has no effect by itself."""
    entry.state, entry.reason = State.DEAD, FORGOTTEN
    log.warning("event_too_old", handler=handler.name, event_id=str(envelope.event_id))
    _store(entry, handler, envelope)


def _store(entry: InboxEntry, handler: Handler, envelope: Envelope) -> None:
    entry.envelope = envelope.to_json()
    with shard_atomic(handler.context, envelope.shard_key) as scope:
        rows = InboxEntry.objects.using(scope.alias)
        present = rows.filter(handler=entry.handler, event_id=entry.event_id).first()
        if present is None:
            entry.save(using=scope.alias, force_insert=True)
        elif present.pk == entry.pk and present.state in (State.RETRY, State.DEAD):
            entry.save(using=scope.alias, force_update=True)


def held_back(alias: str, entry: InboxEntry) -> bool:
    """Whether an earlier event of the same key still waits, or is dead, at the same handler."""
    return (
        InboxEntry.objects.using(alias)
        .filter(
            handler=entry.handler,
            key=entry.key,
            event_seq__lt=entry.event_seq,
            state__in=(State.RETRY, State.DEAD),
        )
        .exists()
    )


def _later_done(alias: str, entry: InboxEntry) -> bool:
    rows = InboxEntry.objects.using(alias)
    return rows.filter(handler=entry.handler, key=entry.key, event_seq__gt=entry.event_seq, state=State.DONE).exists()


def new_entry(envelope: Envelope, handler: Handler) -> InboxEntry:
    """The event's entry at a handler, not stored yet and without a state."""
    return InboxEntry(
        id=new_id(handler.context, near=envelope.shard_key),
        handler=handler.name,
        event_id=envelope.event_id,
        key=envelope.key,
        event_seq=envelope.event_seq,
        created_at=datetime.now(UTC),
    )


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
