"""The fence of a database, looked after: put up, renewed under traffic, taken away for a migration, judged.

While releases change, servers of two of them work on one database. So the newer one's triggers are no fault to the
older one, which leaves them alone; and what is renewed is there before the old one goes, table by table.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Final

import structlog
from django.apps import apps
from django.db import OperationalError, connections, transaction
from django.db.migrations.loader import MigrationLoader

from shop.sharding.databases import owner_of
from shop.sharding.fence import FUNCTIONS, NAMED, Trigger, fence_of

log = structlog.get_logger(__name__)

type Place = tuple[str, str]
"""A table, and what is done to it: INSERT, UPDATE or DELETE."""

KERNEL: Final = "shop"
"""The label of its app."""
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


def install_fence(alias: str) -> None:
    """Put the triggers on every table of ``alias`` that lies by bucket, and on what its home keeps. Safe to repeat.

    A whole fence that a newer release has put up stays as it is.

    Raises:
        OperationalError: A table is in use all the time; what was renewed by then stays.
    """
    if is_current(alias):
        return
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        if connections[alias].vendor == "postgresql":
            cursor.execute(FUNCTIONS)
    wanted, present = fence_of(alias), _present(alias)
    superseded = _superseded(wanted, present)
    for table in sorted({each.table for each in wanted} | {table for table, _ in superseded.values()}):
        new = [each for each in wanted if each.table == table and each.name not in present]
        old = [_dropping(alias, name, table) for name, (on, _) in superseded.items() if on == table]
        if new or old:
            _change(alias, table, [*(_dropping(alias, each.name, table) for each in new), *(t.text for t in new), *old])


def remove_fence(alias: str) -> None:
    """Take all triggers away, where a migration needs that; `install_fence` puts them back."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        for name, (table, _) in _present(alias).items():
            cursor.execute(_dropping(alias, name, table))


def fence_faults(alias: str) -> list[str]:
    """What ``alias`` would let in though it is not its own: triggers that are missing, or switched off.

    One of another release counts as well as ours.
    """
    covered = set(_present(alias).values())
    return sorted(
        f"trigger {each.name} is missing" for each in fence_of(alias) if (each.table, each.operation) not in covered
    )


def is_current(alias: str) -> bool:
    """Whether `install_fence` has nothing to do: the fence is whole, and this release's, or a newer one's."""
    wanted, present = fence_of(alias), _present(alias)
    if all(each.name in present for each in wanted) and not _superseded(wanted, present):
        return True
    return _is_of_newer_release(alias) and not fence_faults(alias)


def _superseded(wanted: Iterable[Trigger], present: Mapping[str, Place]) -> dict[str, Place]:
    """Triggers of other releases on tables that this one knows: those of other tables are not ours to judge."""
    names, known = {each.name for each in wanted}, {model._meta.db_table for model in apps.get_models()}
    return {name: place for name, place in present.items() if name not in names and place[0] in known}


def _is_of_newer_release(alias: str) -> bool:
    """Whether ``alias`` has a migration, of the kernel or of a context hosted here, that this code does not have."""
    loader = MigrationLoader(connections[alias])
    ours = {label for label in loader.migrated_apps if label == KERNEL or owner_of(label)}
    return any(app in ours and (app, name) not in loader.disk_migrations for app, name in loader.applied_migrations)


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


def _present(alias: str) -> dict[str, Place]:
    """Where each of our triggers is that is there and switched on, by name."""
    with connections[alias].cursor() as cursor:
        cursor.execute(PRESENT[connections[alias].vendor])
        return {name: (table, name.removeprefix(NAMED).partition("_")[0].upper()) for name, table in cursor.fetchall()}


def _dropping(alias: str, name: str, table: str) -> str:
    """Of one that may be there switched off, too."""
    return f'DROP TRIGGER IF EXISTS "{name}"' + (f' ON "{table}"' if connections[alias].vendor == "postgresql" else "")
