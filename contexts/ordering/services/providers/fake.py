"""A provider to try out, with books in a database of its own: no rollback of ours un-charges anybody."""

import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError
from django.db.utils import ConnectionHandler

from contexts.ordering.domain import AttemptStatus
from contexts.ordering.services.providers import Intent
from shop.contract import Money
from shop.settings import parse_database_url

ALIAS: Final = "fake_provider"
OUTCOMES: Final = {
    "tok_ok": (AttemptStatus.CAPTURED, ""),
    "tok_declined": (AttemptStatus.FAILED, "card_declined"),
}

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS fake_intent (
        key varchar(60) PRIMARY KEY, reference varchar(60) NOT NULL, payment_id varchar(30) NOT NULL,
        status varchar(20) NOT NULL, amount bigint NOT NULL, currency varchar(3) NOT NULL,
        failure_code varchar(60) NOT NULL, created_at varchar(40) NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS fake_refund (
        key varchar(60) PRIMARY KEY, reference varchar(60) NOT NULL, intent varchar(60) NOT NULL,
        amount bigint NOT NULL, currency varchar(3) NOT NULL, created_at varchar(40) NOT NULL)""",
)


class RefundTooLarge(ValueError):
    """More would go back than was taken."""


class FakeProvider:
    """Answers at once, by the token's name."""

    def knows(self, token: str) -> bool:
        """Whether ``token`` is one of `OUTCOMES`."""
        return token in OUTCOMES

    def create(self, *, key: str, payment_id: str, amount: Money, token: str) -> Intent:
        """Take the money, or decline, as the token says."""
        status, failure = OUTCOMES[token]
        return self._write(key, payment_id, amount, status, failure)

    def cancel(self, *, key: str) -> Intent:
        """Close the intent, or leave a closed one for a `create` that is still on its way."""
        return self._write(key, "", Money(amount=0, currency=""), AttemptStatus.CANCELLED, "")

    def refund(self, *, key: str, reference: str, amount: Money) -> str:
        """Give money back, never more than was taken."""
        books = _books()
        with books.cursor() as cursor:
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
            raise RefundTooLarge(f"{reference}: {amount.amount} {amount.currency} can't be given back")
        return str(row[0])

    def intents(self) -> list[dict[str, Any]]:
        """Everything in the books, oldest first: what a real provider's dashboard shows."""
        with _books().cursor() as cursor:
            cursor.execute(
                "SELECT i.key, i.reference, i.payment_id, i.status, i.amount, i.currency, coalesce(sum(r.amount), 0)"
                " FROM fake_intent i LEFT JOIN fake_refund r ON r.intent = i.reference"
                " GROUP BY i.key, i.reference, i.payment_id, i.status, i.amount, i.currency, i.created_at"
                " ORDER BY i.created_at"
            )
            names = ("key", "reference", "payment_id", "status", "amount", "currency", "refunded")
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _write(self, key: str, payment_id: str, amount: Money, status: str, failure: str) -> Intent:
        """Write the intent unless its key is known, and say how it stands: the first one always wins."""
        values = [key, _reference("fi"), payment_id, status, amount.amount, amount.currency, failure, _now()]
        with _books().cursor() as cursor:
            cursor.execute(
                "INSERT INTO fake_intent VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                values,
            )
            cursor.execute("SELECT reference, status, amount, failure_code FROM fake_intent WHERE key = %s", [key])
            reference, found, taken, why = cursor.fetchone()
        return Intent(reference=reference, status=AttemptStatus(found), amount=taken, failure_code=why)


def _reference(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def _now() -> str:
    return datetime.now(UTC).isoformat()


@cache
def _handler() -> ConnectionHandler:
    """Connections that Django's transactions, routers and tests know nothing of."""
    url = str(settings.CONTEXT_SETTINGS["FAKE_PROVIDER_DATABASE"])
    home = Path(settings.SHOP_HOME)
    home.mkdir(parents=True, exist_ok=True)
    handler = ConnectionHandler({"default": {}, ALIAS: parse_database_url(url, home)})
    with handler[ALIAS].cursor() as cursor:
        for table in TABLES:
            try:
                cursor.execute(table)
            except IntegrityError:
                continue  # two processes made it at the same moment; it is there
    return handler


def _books() -> Any:
    connection = _handler()[ALIAS]
    connection.close_if_unusable_or_obsolete()
    return connection
