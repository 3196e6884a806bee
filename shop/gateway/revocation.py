"""Sign-ins that were ended, as every process that takes tokens knows them: read once a second, asked without a query.

Each context writes them down at its home when it hears of them (`refuse_sessions` in a handler of its `tasks`), and
each server reads the homes of the contexts it hosts. A home that does not answer leaves what is known of it as it is;
an access token is good for five minutes at most, whatever happens.
"""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.db import connections

from shop.gateway.models import RevokedSession
from shop.sharding import home_atomic, home_of, hosted_contexts
from shop.sharding.databases import leave_databases

log = structlog.get_logger(__name__)

KEPT: Final = timedelta(minutes=6)
"""Longer than an access token lives: a refresh under way when its sign-in ends mints one more, some seconds later."""
POLL_SECONDS: Final = 1.0
STOP_SECONDS: Final = 5.0


class DenyList:
    """What this process knows. Asked at every request, so it is one set in memory."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_context: dict[str, frozenset[str]] = {}
        self._all: frozenset[str] = frozenset()

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._all

    def look(self, context: str) -> None:
        """Read what the home of ``context`` has now. Database: one read there."""
        rows = RevokedSession.objects.using(home_of(context)).filter(until__gt=datetime.now(UTC))
        found = frozenset(rows.values_list("session_id", flat=True))
        with self._guard:
            self._by_context[context] = found
            self._all = frozenset().union(*self._by_context.values())


deny_list: Final = DenyList()


def refuse_sessions(context: str, session_ids: Iterable[str]) -> None:
    """Put sign-ins on the deny-list of ``context``. Safe to repeat. Database: its home, one transaction."""
    until = datetime.now(UTC) + KEPT
    with home_atomic(context) as scope:
        RevokedSession.objects.using(scope.alias).bulk_create(
            [RevokedSession(session_id=each, until=until) for each in session_ids],
            update_conflicts=True,
            unique_fields=("session_id",),
            update_fields=("until",),
        )


def forget_revoked_sessions(context: str) -> int:
    """Take off the deny-list what is over; returns how many. Database: the home, one transaction."""
    with home_atomic(context) as scope:
        return RevokedSession.objects.using(scope.alias).filter(until__lt=datetime.now(UTC)).delete()[0]


class RevocationWatch:
    """Keeps the deny-list of a server up to date: a thread per context, so that a home that is away holds up none."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, for the hosted contexts."""
        for context in hosted_contexts():
            thread = threading.Thread(target=self._run, args=(context,), name=f"revocations-{context}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let every thread end after its round."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _run(self, context: str) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                deny_list.look(context)
                away = False
            except Exception as error:
                if not away:
                    log.warning("revocations_not_read", context=context, error=type(error).__name__)
                away = True
            finally:
                leave_databases()
            self._stopping.wait(POLL_SECONDS)
        connections.close_all()
