"""`manage.py shards add`: a database whose URL was appended becomes a shard that owns nothing yet."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder

from shop.sharding.commands.asking import Refused, reason_of
from shop.sharding.commands.doctor import postgresql
from shop.sharding.commands.doctor.databases import examine_database
from shop.sharding.commands.places import engine_of, slices_of, where
from shop.sharding.databases import aliases_of, exists, home_of
from shop.sharding.fence import fenced_models
from shop.sharding.first_migrate import ForeignDatabase, is_introduced, recognise
from shop.sharding.migrating import migrate_one
from shop.sharding.models import DatabaseIdentity, Shard
from shop.sharding.readiness import left_to_do
from shop.sharding.stored_map import sound_map

DECISIVE: Final = frozenset(
    {"identity", "introduced", "migrations", "fence", "rows", "clock", "replica", "file_system"}
)
"""Checks of the doctor that a new shard has to pass; of the others it is told."""
PREFIX: Final = "shop_"
"""Of all tables of kernel and contexts, those too that have no model: an index of words brings some along."""
STEPS: Final = (
    "register it at the home",
    "migrate it",
    "tell it what it is, and that it owns nothing",
    "put the fence on its tables",
    "check identity, fence, settings and clock",
)


def add(context: str, *, dry_run: bool, told: Callable[[str], None]) -> dict[str, Any]:
    """Introduce every database of the list that the home does not know yet. Safe to repeat, and after a crash.

    All are looked at before anything is written.

    Database: the home, then each new one.

    Raises:
        Refused: The home can't take one, or what is behind a URL is no new, empty database.
    """
    _refuse_home(context)
    new = list(_unknown(context))
    reasons = [reason for alias in aliases_of(context) if (reason := _objection(alias, is_new=alias in new))]
    if reasons:
        raise Refused(*reasons)
    notes: list[str] = []
    for alias in new:
        if dry_run:
            told(f"{alias} ({where(alias)}) would be added:")
            for step in STEPS:
                told(f"  {step}")
        else:
            _introduce(context, alias, told)
            notes += _refuse_unsound(alias)
    return {"context": context, "added": new, "written": bool(new) and not dry_run, "notes": notes}


def _refuse_home(context: str) -> None:
    home = home_of(context)
    try:
        recognise(home)
        if not is_introduced(home):
            raise Refused(f"{home} was never migrated: `manage.py migrate_contexts` begins a shop")
        if waiting := left_to_do(home):
            raise Refused(f"{home}: {waiting} steps are left to do: run `manage.py migrate_contexts` first")
        sound_map(context)
    except (DatabaseError, ForeignDatabase) as error:
        raise Refused(reason_of(error)) from error


def _unknown(context: str) -> Iterator[str]:
    """Places whose database was not introduced to the end."""
    home = home_of(context)
    known = dict(Shard.objects.using(home).values_list("alias", "uuid"))
    return (alias for alias in aliases_of(context) if alias != home and known.get(alias) is None)


def _objection(alias: str, *, is_new: bool) -> str:
    """Why nothing can be added; empty if what is known is there, and what is new holds nothing but our own attempt."""
    try:
        if not is_new and not is_introduced(alias):
            return f"{alias}: the home knows it, and an empty database is behind its URL"
        if not exists(alias):
            return ""
        recognise(alias)
        return _contents(alias) or _unfit(alias) if is_new else ""
    except (DatabaseError, ForeignDatabase) as error:
        return f"{alias}: {reason_of(error)}"


def _unfit(alias: str) -> str:
    if engine_of(alias) != "postgresql":
        return ""
    return "; ".join(f"{alias}: {each.what}: {each.do}" for each in postgresql.check(alias) if each.check in DECISIVE)


def _contents(alias: str) -> str:
    tables = set(connections[alias].introspection.table_names())
    ours = {MigrationRecorder.Migration._meta.db_table, *connections[alias].introspection.django_table_names()}
    if foreign := sorted(table for table in tables - ours if not table.startswith(PREFIX)):
        return f"{alias}: {where(alias)} is no empty database: it has a table {foreign[0]}"
    for model, _ in fenced_models(alias):
        if model._meta.db_table in tables and model._base_manager.using(alias).exists():
            return f"{alias}: {where(alias)} is no new database: {model._meta.db_table} has rows"
    if DatabaseIdentity._meta.db_table in tables and is_introduced(alias) and slices_of(alias).owned:
        return f"{alias}: {where(alias)} is no new database: it owns buckets"
    return ""


def _introduce(context: str, alias: str, told: Callable[[str], None]) -> None:
    told(f"{alias} ({where(alias)})")
    Shard.objects.using(home_of(context)).get_or_create(alias=alias)
    try:
        applied = migrate_one(alias)
    except (DatabaseError, ForeignDatabase) as error:
        raise Refused(f"{alias}: {reason_of(error)}", "mend it and run the command again") from error
    told(f"  registered and migrated ({applied} applied), fenced, owns nothing")


def _refuse_unsound(alias: str) -> Iterator[str]:
    """What the doctor has to say of it that is no reason to refuse it.

    Raises:
        Refused: The rest.
    """
    try:
        findings = examine_database(alias).findings
    except DatabaseError as error:
        raise Refused(f"{alias}: {reason_of(error)}") from error
    if decisive := [each for each in findings if each.check in DECISIVE]:
        raise Refused(*(f"{each.place}: {each.what}: {each.do}" for each in decisive))
    if slices_of(alias).owned:
        raise Refused(f"{alias} owns buckets already")
    return (f"{each.place}: {each.what}" for each in findings)
