"""Planting faults behind everybody's back, and looking whether an invariant sees them. Nobody waits: nothing moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from shop.invariants.registry import declared
from shop.invariants.runner import Runner, Verdict
from shop.sharding import alias_of
from shop.sharding.fencing import install_fence, remove_fence

type Ids = tuple[str, ...]


def verdicts_of(name: str, context: str = "") -> list[Verdict]:
    """What comes of an invariant, all parts or the one that ``context`` declares."""
    wanted = [each for each in declared() if each.name == name and context in ("", each.context)]
    found = Runner(away={}, told=lambda *_: None, sleep=lambda _: None).run(wanted, settle_seconds=0, wait_seconds=0)
    assert found
    assert [verdict.unasked for verdict in found] == [[] for _ in found]
    return found


def broken(name: str, context: str = "") -> dict[Ids, str]:
    """What breaks an invariant: what is wrong, by the public IDs at fault."""
    return {finding.ids: finding.detail for each in verdicts_of(name, context) for finding in each.findings}


def checked(name: str, context: str = "") -> int:
    """How much an invariant has looked at."""
    return sum(verdict.checked for verdict in verdicts_of(name, context))


def plant(context: str, key: int, statement: str, *values: Any) -> None:
    """Run a statement on the shard of ``key``, past models, scopes and events. It must hit something."""
    plant_on(alias_of(context, key), statement, *values)


def plant_on(alias: str, statement: str, *values: Any) -> None:
    """The same on a database, whatever it owns."""
    with unfenced(alias), connections[alias].cursor() as cursor:
        cursor.execute(statement, list(values))
        assert cursor.rowcount > 0, "nothing was planted"


@contextmanager
def unfenced(alias: str) -> Iterator[None]:
    """Let rows in that the database does not own, as a restored copy might bring them."""
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            yield
            cursor.execute("SET session_replication_role = origin")
        return
    remove_fence(alias)
    yield
    install_fence(alias)


@contextmanager
def without_constraints(alias: str, table: str, *names: str) -> Iterator[None]:
    """Let rows break check constraints, as a foreign tool might; on PostgreSQL until the test's transaction ends."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in names:
                cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            yield
            return
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            yield
        finally:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
