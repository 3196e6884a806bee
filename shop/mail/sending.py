"""Sending what waits: a job of every context. No transaction is open while a mail server or another context is asked.

A mail is taken by setting its next try before this one, and its end is written only by whoever still holds it. What is
between the mail server's "taken" and that line can happen twice, with one Message-ID; nothing can get lost.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from shop.events import one_by_one
from shop.events.away import is_away
from shop.events.wake import wake_slow_jobs
from shop.mail.letters import Letter, writer_of
from shop.mail.models import Mail
from shop.mail.posting import NotTaken, Post, Refused, message_id
from shop.sharding import shard_atomic, shard_map
from shop.sharding.scatter import owned

log = structlog.get_logger(__name__)

BATCH: Final = 20
"""In a round, of each database: a process that is told to stop does so between two of them."""
HELD: Final = timedelta(minutes=2)
"""How long a mail is whose takes it."""
ON_THE_WAY: Final = timedelta(minutes=1)
"""What handing it over takes at most: four replies of the mail server, each within the mailer's time-out."""
FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(minutes=5)
KEPT: Final = timedelta(days=30)
NOBODYS: Final = ".invalid"
"""What never leads anywhere (RFC 6761): addresses of customers who were made up, as by a replay."""

State = Mail.State


class _Unwanted(Exception):
    """Nobody wants this mail any more."""


def send_mails(context: str) -> int:
    """Send the mails of ``context`` that are due; returns how many the mail server took.

    Database: each shard, two short transactions for a mail. Safe to repeat, and for several processes at once.
    """

    def send_due(alias: str) -> int:
        due = Mail.objects.using(alias).filter(owned(shard_map(context), alias), due_at__lte=datetime.now(UTC))
        rows = list(due.order_by("due_at", "id")[:BATCH])
        if len(rows) == BATCH:
            wake_slow_jobs(context)
        return one_by_one(rows, partial(_send, context, post))

    with Post() as post:
        return one_by_one(shard_map(context).owners(), send_due)


def _send(context: str, post: Post, mail: Mail) -> int:
    if mail.give_up_at <= datetime.now(UTC):
        _give_up(context, mail, mail.reason or "too late")
        return 0
    if not _take(context, mail):
        return 0
    try:
        letter = _letter(mail)
        post.open()
        if datetime.now(UTC) > mail.due_at - ON_THE_WAY:  # type: ignore[operator]  # set by `_take`
            return 0  # it took so long that somebody else may be about to begin
        post.send(letter, message_id(mail.kind, mail.origin, mail.about))
    except _Unwanted:
        _drop(context, mail)
    except Refused as refusal:
        _give_up(context, mail, str(refusal))
    except Exception as error:
        _put_off(context, mail, error)
    else:
        _end(context, mail, state=State.SENT, reason="")
        log.info("mail_sent", mail=str(mail.pk), kind=mail.kind)
        return 1
    return 0


def _take(context: str, mail: Mail) -> bool:
    """Hold a mail, so that nobody else sends it, and whatever becomes of us somebody tries it again."""
    seen, mail.due_at = mail.due_at, datetime.now(UTC) + HELD
    mail.attempts += 1
    with shard_atomic(context, mail.pk) as scope:
        rows = Mail.objects.using(scope.alias).filter(pk=mail.pk, due_at=seen)
        return bool(rows.update(due_at=mail.due_at, attempts=mail.attempts))


def _letter(mail: Mail) -> Letter:
    letter = writer_of(mail.kind)(mail.about, mail.facts)
    if letter is None or letter.to.endswith(NOBODYS):
        raise _Unwanted
    return letter


def _drop(context: str, mail: Mail) -> None:
    """There is nobody to tell, or nothing: as if it had never been written."""
    with shard_atomic(context, mail.pk) as scope:
        Mail.objects.using(scope.alias).filter(pk=mail.pk, due_at=mail.due_at).delete()
    log.info("mail_not_wanted", mail=str(mail.pk), kind=mail.kind)


def _put_off(context: str, mail: Mail, error: Exception) -> None:
    """Try again, each time after twice as long; until it is too late, since most of what fails is no mail's fault."""
    reason = str(error) if isinstance(error, NotTaken) else type(error).__name__
    wait = min(FIRST_WAIT * 2 ** min(mail.attempts - 1, 10), LONGEST_WAIT)
    _change(context, mail, reason=reason, due_at=datetime.now(UTC) + wait)
    bug = None if isinstance(error, NotTaken) or is_away(error) else error
    log.warning("mail_put_off", mail=str(mail.pk), kind=mail.kind, error=reason, exc_info=bug)


def _give_up(context: str, mail: Mail, reason: str) -> None:
    _end(context, mail, state=State.DEAD, reason=reason)
    log.error("mail_dead", mail=str(mail.pk), kind=mail.kind, error=reason)


def _end(context: str, mail: Mail, **fields: Any) -> None:
    _change(context, mail, due_at=None, ended_at=datetime.now(UTC), facts={}, **fields)


def _change(context: str, mail: Mail, **fields: Any) -> None:
    """Note what became of a mail, unless somebody else has taken it meanwhile."""
    with shard_atomic(context, mail.pk) as scope:
        Mail.objects.using(scope.alias).filter(pk=mail.pk, due_at=mail.due_at).update(**fields)


def forget_mails(context: str) -> int:
    """Delete what ended a month ago; returns how many. Database: each shard, a transaction for a batch."""
    return one_by_one(shard_map(context).owners(), partial(_forget, context))


def _forget(context: str, alias: str) -> int:
    ended = Mail.objects.using(alias).filter(owned(shard_map(context), alias), ended_at__lt=datetime.now(UTC) - KEPT)
    gone = 0
    while keys := list(ended.order_by("ended_at", "id").values_list("pk", flat=True)[:BATCH]):
        with shard_atomic(context, *keys):
            gone += ended.filter(pk__in=keys).delete()[0]
    return gone
