"""A provider to try out, with books in a database of its own: no rollback of ours un-charges anybody."""

import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings

from contexts.ordering.domain import AttemptStatus, supersedes
from contexts.ordering.services.providers import Intent, ProviderAway, RefundRefused
from contexts.ordering.services.providers.fake_books import books
from shop.contract import Money

SIGNATURE: Final = "Fake-Signature"
SIGNATURE_LASTS: Final = 300
"""Seconds, into the past and, for clocks that differ, into the future."""
SLOW_SECONDS: Final = 2.0
MAX_DIGITS: Final = 12
OUTCOMES: Final = {
    "tok_ok": (AttemptStatus.CAPTURED, ""),
    "tok_declined": (AttemptStatus.FAILED, "card_declined"),
    "tok_action": (AttemptStatus.REQUIRES_ACTION, ""),
    "tok_timeout": (AttemptStatus.CAPTURED, ""),
    "tok_slow": (AttemptStatus.CAPTURED, ""),
}
REPORTS: Final = {"payment.captured": AttemptStatus.CAPTURED, "payment.failed": AttemptStatus.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeIntent:
    """One line of the books, as a provider's dashboard shows it; money in minor units."""

    key: str
    payment_id: str
    status: str
    amount: int
    currency: str
    refunded: int


class UnknownIntent(LookupError):
    """No intent of the books belongs to this payment."""


class FakeProvider:
    """Answers by the token's name."""

    def knows(self, token: str) -> bool:
        """Whether ``token`` is one of `OUTCOMES`."""
        return token in OUTCOMES

    def create(self, *, key: str, payment_id: str, amount: Money, token: str) -> Intent:
        """Take the money, decline, or ask for more, as the token says. `tok_timeout` takes it and does not tell."""
        status, failure = OUTCOMES[token]
        intent = self._write(key, payment_id, amount, status, failure)
        if token == "tok_timeout":  # noqa: S105  a name, no secret
            raise ProviderAway(detail="the provider's answer did not come")
        if token == "tok_slow":  # noqa: S105  a name, no secret
            time.sleep(SLOW_SECONDS)
        return intent

    def read(self, *, key: str) -> Intent | None:
        """How the intent stands; None: it never came."""
        with books() as cursor:
            cursor.execute(
                "SELECT reference, status, amount, failure_code, client_secret FROM fake_intent WHERE key = %s", [key]
            )
            row = cursor.fetchone()
        if row is None:
            return None
        reference, status, amount, failure, secret = row
        waits = status == AttemptStatus.REQUIRES_ACTION
        return Intent(
            reference=reference,
            status=AttemptStatus(status),
            amount=amount,
            failure_code=failure,
            client_secret=secret if waits else "",
        )

    def hear(self, *, key: str, report: str) -> Intent | None:
        """Enter a report in the books: whoever knows the secret is the provider, `manage.py` or any other program."""
        intent = self.read(key=key)
        if intent is None or not intent.amount or report not in REPORTS:  # of one that never came nothing can be taken
            return intent
        return self._move(key, REPORTS[report])

    def cancel(self, *, key: str) -> Intent:
        """Close the intent, or leave a closed one for a `create` that is still on its way."""
        self._write(key, "", Money(amount=0, currency=""), AttemptStatus.CANCELLED, "")
        return self._move(key, AttemptStatus.CANCELLED)

    def refund(self, *, key: str, reference: str, amount: Money) -> str:
        """Give money back, never more than was taken.

        Raises:
            RefundRefused: It would be more.
        """
        with books() as cursor:
            cursor.execute(
                "INSERT INTO fake_refund SELECT %s, %s, %s, %s, %s, %s WHERE (SELECT amount FROM fake_intent"
                " WHERE reference = %s AND status = 'captured') >= %s + (SELECT coalesce(sum(amount), 0) FROM"
                " fake_refund WHERE intent = %s) ON CONFLICT DO NOTHING",
                [
                    *(key, _reference("re"), reference, amount.amount, amount.currency, _now()),
                    *(reference, amount.amount, reference),
                ],
            )
            cursor.execute("SELECT reference FROM fake_refund WHERE key = %s", [key])
            row = cursor.fetchone()
        if row is None:
            raise RefundRefused("more than was taken")
        return str(row[0])

    def is_genuine(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether `SIGNATURE` holds for ``body`` and is not old; several ``v1`` may stand in it."""
        parts = [part.strip().partition("=") for part in headers.get(SIGNATURE, "").split(",")]
        stamps = [value for name, _, value in parts if name == "t"]
        if len(stamps) != 1 or not _is_recent(stamps[0]):
            return False
        wanted = signature_of(stamps[0], body).encode()
        return any(hmac.compare_digest(value.encode(), wanted) for name, _, value in parts if name == "v1")

    def intents(self, *, since: str = "") -> list[FakeIntent]:
        """The books from ``since`` (as `created_at` is written), oldest first."""
        with books() as cursor:
            cursor.execute(
                "SELECT i.key, i.payment_id, i.status, i.amount, i.currency, coalesce(sum(r.amount), 0)"
                " FROM fake_intent i LEFT JOIN fake_refund r ON r.intent = i.reference WHERE i.created_at >= %s"
                " GROUP BY i.key, i.payment_id, i.status, i.amount, i.currency, i.created_at"
                " ORDER BY i.created_at, i.key",
                [since],
            )
            names = ("key", "payment_id", "status", "amount", "currency")
            return [
                FakeIntent(**dict(zip(names, row, strict=True)), refunded=int(refunded))  # PostgreSQL sums to a decimal
                for *row, refunded in cursor.fetchall()
            ]

    def finish(self, payment_id: str, status: AttemptStatus) -> None:
        """What the customer did in the meantime, or a bank that was late: money that is taken stays taken.

        Raises:
            UnknownIntent: There is none of that payment.
        """
        with books() as cursor:
            cursor.execute("SELECT key FROM fake_intent WHERE payment_id = %s", [payment_id])
            row = cursor.fetchone()
        if row is None:
            raise UnknownIntent(payment_id)
        self._move(row[0], status)

    def _write(self, key: str, payment_id: str, amount: Money, status: str, failure: str) -> Intent:
        """Write the intent unless its key is known, and say how it stands: the first one always wins."""
        reference = _reference("fi")
        secret = f"{reference}_secret_{uuid.uuid4().hex}" if status == AttemptStatus.REQUIRES_ACTION else ""
        values = [key, reference, payment_id, status, amount.amount, amount.currency, failure, secret, _now()]
        with books() as cursor:
            cursor.execute(
                "INSERT INTO fake_intent VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", values
            )
        return self._known(key)

    def _move(self, key: str, status: AttemptStatus) -> Intent:
        """Let an intent go on to ``status`` where that may follow."""
        before = [old.value for old in AttemptStatus if supersedes(status, old)]
        marks = ", ".join(["%s"] * len(before))
        failure = "authentication_failed" if status == AttemptStatus.FAILED else ""
        with books() as cursor:
            cursor.execute(
                f"UPDATE fake_intent SET status = %s, failure_code = %s WHERE key = %s AND status IN ({marks})",  # noqa: S608  marks only
                [status, failure, key, *before],
            )
        return self._known(key)

    def _known(self, key: str) -> Intent:
        intent = self.read(key=key)
        if intent is None:
            raise LookupError(key)
        return intent


def signature_of(stamp: str, body: bytes) -> str:
    """What ``v1`` must be: the secret's HMAC over the time, a dot and the raw body."""
    secret = str(settings.FAKE_WEBHOOK_SECRET).encode()
    return hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _is_recent(stamp: str) -> bool:
    digits = stamp.isascii() and stamp.isdigit() and len(stamp) <= MAX_DIGITS
    return digits and abs(time.time() - int(stamp)) <= SIGNATURE_LASTS


def _reference(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def _now() -> str:
    return datetime.now(UTC).isoformat()
