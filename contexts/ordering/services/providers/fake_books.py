"""Where the fake provider's books lie: a database and connections of its own. `fake` comes in here."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.db.utils import ConnectionHandler

from contexts.ordering.services.providers import ProviderAway
from shop.addresses import parse_database_url

ALIAS: Final = "fake_provider"
_making: Final = Lock()

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS fake_intent (
        key varchar(60) PRIMARY KEY, reference varchar(60) NOT NULL, payment_id varchar(30) NOT NULL,
        status varchar(20) NOT NULL, amount bigint NOT NULL, currency varchar(3) NOT NULL,
        failure_code varchar(60) NOT NULL, client_secret varchar(80) NOT NULL, created_at varchar(40) NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS fake_intent_payment ON fake_intent (payment_id)",
    """CREATE TABLE IF NOT EXISTS fake_refund (
        key varchar(60) PRIMARY KEY, reference varchar(60) NOT NULL, intent varchar(60) NOT NULL,
        amount bigint NOT NULL, currency varchar(3) NOT NULL, created_at varchar(40) NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS fake_refund_intent ON fake_refund (intent)",
)


@contextmanager
def books() -> Iterator[Any]:
    """A cursor in the books; every statement is a transaction of its own.

    Raises:
        ProviderAway: Their database does not answer.
    """
    try:
        connection = _handler()[ALIAS]
        connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            yield cursor
    except (OperationalError, InterfaceError):
        raise ProviderAway(detail="the fake provider's books can't be reached") from None


def close_books() -> None:
    """Close this thread's connection: for threads that end."""
    _handler()[ALIAS].close()


def _handler() -> ConnectionHandler:
    with _making:  # `cache` alone lets threads make one each, and forgets all but one
        return _make_handler()


@cache
def _make_handler() -> ConnectionHandler:
    """Connections that Django's transactions, routers and tests know nothing of."""
    url = str(settings.CONTEXT_SETTINGS["FAKE_PROVIDER_DATABASE"])
    home = Path(settings.SHOP_HOME)
    home.mkdir(parents=True, exist_ok=True)
    handler = ConnectionHandler({"default": {}, ALIAS: parse_database_url(url, home)})
    with handler[ALIAS].cursor() as cursor:
        for statement in TABLES:
            try:
                cursor.execute(statement)
            except (IntegrityError, ProgrammingError):
                continue  # two processes made it at the same moment; it is there
    return handler
