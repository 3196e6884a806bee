"""The fence of a database, looked after: put up, renewed under traffic, taken away for a migration, judged.

While releases change, servers of two of them work on one database. So the newer one's triggers are no fault to the
older one, which leaves them alone; and what is renewed is there before the old one goes, table by table.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from django.apps import apps
from django.db import OperationalError, connections, transaction

from shop.sharding.fence import FUNCTIONS, NAMED, VERSION, Trigger, fence_of

log = structlog.get_logger(__name__)

LOCK_MILLISECONDS: Final = 1_000
"""For the lock on a table. Whoever comes to the table meanwhile waits as well, so it is asked for in small pieces."""
TRIES: Final = 30
PAUSE_SECONDS: Final = 1.0
PRESENT: Final = {
    "postgresql": r"""
        SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE tgname LIKE 'shop\_fence\_%' AND tgenabled IN ('O', 'A') AND NOT tgisinternal""",
    "sqlite": r"""
        SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'shop\_fence\_%' ESCAPE '\'""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A trigger of ours that is there and switched on; ``version`` is 0 where its name has none."""

    name: str
    table: str
    operation: str
    version: int


def install_fence(alias: str) -> None:
    """Put the triggers on every table of ``alias`` that lies by bucket, and on what its home keeps. Safe to repeat.

    What a newer release has put up stays as it is.

    Raises:
        OperationalError: A table is in use all the time; what was renewed by then stays.
    """
    present = _present(alias)
    missing, superseded = _to_change(alias, present)
    is_newer = any(each.version > VERSION for each in present)
    if missing and not is_newer and connections[alias].vendor == "postgresql":
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(FUNCTIONS)
    for table in sorted({each.table for each in missing} | {each.table for each in superseded}):
        new = [each for each in missing if each.table == table]
        asleep = [_dropping(alias, each.name, table) for each in new]
        old = [_dropping(alias, each.name, table) for each in superseded if each.table == table]
        _change(alias, table, [*asleep, *(each.text for each in new), *old])


def remove_fence(alias: str) -> None:
    """Take all triggers away, where a migration needs that; `install_fence` puts them back."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        for each in _present(alias):
            cursor.execute(_dropping(alias, each.name, each.table))


def fence_faults(alias: str) -> list[str]:
    """What ``alias`` would let in though it is not its own: triggers that are missing, or switched off.

    One of another release counts as well as ours.
    """
    covered = {(each.table, each.operation) for each in _present(alias)}
    return sorted(
        f"trigger {each.name} is missing" for each in fence_of(alias) if (each.table, each.operation) not in covered
    )


def is_current(alias: str) -> bool:
    """Whether `install_fence` has nothing to do: the fence is whole, and this release's, or a newer one's."""
    return not any(_to_change(alias, _present(alias)))


def _to_change(alias: str, present: Sequence[Present]) -> tuple[list[Trigger], list[Present]]:
    """What is missing, and what is superseded. Tables that this release does not know are not ours to judge."""
    wanted = fence_of(alias)
    newer = {(each.table, each.operation) for each in present if each.version > VERSION}
    there, ours = {each.name for each in present}, {each.name for each in wanted}
    known = {model._meta.db_table for model in apps.get_models()}
    missing = [t for t in wanted if t.name not in there and (t.table, t.operation) not in newer]
    superseded = [p for p in present if p.name not in ours and p.version <= VERSION and p.table in known]
    return missing, superseded


def _change(alias: str, table: str, statements: Iterable[str]) -> None:
    """All at once, when the table is free for a moment."""
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                if connections[alias].vendor == "postgresql":
                    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
                for statement in statements:
                    cursor.execute(statement)
        except OperationalError:
            if not left or connections[alias].in_atomic_block:
                raise
            log.info("fence_waits", database=alias, table=table)
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _present(alias: str) -> list[Present]:
    with connections[alias].cursor() as cursor:
        cursor.execute(PRESENT[connections[alias].vendor])
        return [_read(name, table) for name, table in cursor.fetchall()]


def _read(name: str, table: str) -> Present:
    operation, _, rest = name.removeprefix(NAMED).partition("_")
    number = rest.partition("_")[0] if "_" in rest else ""
    return Present(name=name, table=table, operation=operation.upper(), version=int(number) if number.isdigit() else 0)


def _dropping(alias: str, name: str, table: str) -> str:
    return f'DROP TRIGGER IF EXISTS "{name}"' + (f' ON "{table}"' if connections[alias].vendor == "postgresql" else "")
