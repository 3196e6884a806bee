"""What keeps a busy machine out of the suite, and one test's misfortune from all after it. `plugin` comes in here."""

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.test import TestCase, TransactionTestCase
from psycopg.conninfo import conninfo_to_dict

from shop.sharding.postgresql.pool import Pool

ASKED_TIMES = 20


def believe_no_outage_of_the_suites_server() -> None:
    """It is slow where the machine is busy. Only what a test reaches by another way, over a proxy, is soon lost."""
    own = {(known["HOST"], str(known["PORT"])) for known in connections.settings.values()}
    ask: Callable[[Pool, str], bool] = Pool._ask

    def ask_on(pool: Pool, conninfo: str) -> bool:
        asked = conninfo_to_dict(conninfo)
        times = ASKED_TIMES if (asked.get("host"), asked.get("port")) in own else 1
        return any(ask(pool, conninfo) for _ in range(times))

    Pool._ask = ask_on  # type: ignore[assignment,method-assign]  # for the whole run


def undo_what_broke_off() -> bool:
    """Undo what pytest-django's test case leaves behind when it fails to begin or to end: databases forbidden for good.

    Returns:
        Whether there was something. Every database is connected to anew then.
    """
    kinds: list[Any] = [*TestCase.__subclasses__(), *TransactionTestCase.__subclasses__()]
    cases = [kind for kind in kinds if kind._class_cleanups]
    for case in reversed(cases):
        case.doClassCleanups()
    if cases:
        for alias in connections:
            connections[alias].in_atomic_block = False  # or it would count as open still, and be used again as it is
            connections[alias].close()
    return bool(cases)
