"""What a database is told about itself when it is first migrated, and the check that it is still the same one."""

import uuid
from collections.abc import Sequence

from django.db import connections, transaction

from shop.sharding.databases import aliases_of, context_of_alias, exists, home_of
from shop.sharding.ids import BUCKETS, HOME_SLICE
from shop.sharding.models import DatabaseIdentity, Shard, ShardEpoch, ShardMapEntry, ShardSlice
from shop.sharding.shard_map import forget_shard_map
from shop.sharding.stored_map import sound_map


class ForeignDatabase(RuntimeError):
    """The database behind a URL is not the one that was there before, or belongs to another context."""


def even_split(aliases: Sequence[str]) -> list[tuple[int, int, str]]:
    """``(lo, hi, alias)``: all buckets, split evenly and in order."""
    edges = [position * BUCKETS // len(aliases) for position in range(len(aliases) + 1)]
    return [(edges[i], edges[i + 1] - 1, alias) for i, alias in enumerate(aliases)]


def introduce(alias: str) -> None:
    """Write identity, map and slices into a freshly migrated database. Safe to repeat; the home comes first.

    The home's map is written once, for the databases configured then. A database added later owns nothing until
    buckets are moved to it. A map that is lost is not made up: `shop.sharding.commands.rebuild` reads what is so.

    Raises:
        ForeignDatabase: It was introduced before, as another one.
        ShardMapMissing: The home has no map by which it could be told what is not its own.
    """
    context = context_of_alias(alias)
    with transaction.atomic(using=alias):
        check_place(alias)
        identity = DatabaseIdentity.objects.using(alias).first()
        if alias == home_of(context):
            _register(context)
            if identity is None:
                _write_map(context)
        if identity is None:
            identity = DatabaseIdentity.objects.using(alias).create(uuid=uuid.uuid4(), context=context, alias=alias)
        _write_slices(alias, context)
    # Behind the commit: the home never knows an identity that was rolled back.
    Shard.objects.using(home_of(context)).filter(alias=alias).update(uuid=identity.uuid)
    forget_shard_map(context)


def _write_slices(alias: str, context: str) -> None:
    slices = ShardSlice.objects.using(alias)
    if not slices.filter(lo__lt=HOME_SLICE).exists():
        entries = sound_map(context).entries
        slices.bulk_create(ShardSlice(lo=e.lo, hi=e.hi, owned=e.alias == alias, epoch=e.epoch) for e in entries)
    if alias == home_of(context):
        slices.get_or_create(lo=HOME_SLICE, defaults={"hi": HOME_SLICE, "owned": True})


def _register(context: str) -> None:
    home = home_of(context)
    known = set(Shard.objects.using(home).values_list("alias", flat=True))
    Shard.objects.using(home).bulk_create(Shard(alias=alias) for alias in aliases_of(context) if alias not in known)


def _write_map(context: str) -> None:
    home = home_of(context)
    ShardEpoch.objects.using(home).create(epoch=1)
    ShardMapEntry.objects.using(home).bulk_create(
        ShardMapEntry(lo=lo, hi=hi, alias=alias) for lo, hi, alias in even_split(aliases_of(context))
    )


def recognise(alias: str) -> None:
    """Like `check_identity`, also for a database that is still empty: to be called before anything is written there.

    Raises:
        ForeignDatabase: It was introduced before, as another one; or it is empty, and its place was taken before.
    """
    if is_introduced(alias):
        check_identity(alias)
    elif home_says(alias) is not None:
        raise _another(alias, "an empty database is behind the URL")
    elif alias == home_of(context_of_alias(alias)):
        others = [other for other in aliases_of(context_of_alias(alias)) if other != alias and is_introduced(other)]
        if others:
            raise _another(alias, f"an empty database is behind the URL, and {', '.join(others)} had another home")


def check_identity(alias: str) -> None:
    """Compare what the database says it is with what the settings and the home say.

    Raises:
        ForeignDatabase: They disagree.
    """
    check_place(alias)
    known, expected = DatabaseIdentity.objects.using(alias).first(), home_says(alias)
    if known is not None and expected is not None and known.uuid != expected:
        raise _another(alias, "it is not the database that was introduced there")


def check_place(alias: str) -> None:
    """Ask the database alone whether it belongs where it is.

    Raises:
        ForeignDatabase: It says that it is another one.
    """
    known, context = DatabaseIdentity.objects.using(alias).first(), context_of_alias(alias)
    if known is not None and (known.context, known.alias) != (context, alias):
        raise _another(alias, f"it was migrated as {known.alias} of {known.context}")


def _another(alias: str, why: str) -> ForeignDatabase:
    setting = f"{context_of_alias(alias).upper()}_DATABASES"
    return ForeignDatabase(f"{setting}: the database of {alias}: {why}; put every URL back to its place")


def is_introduced(alias: str) -> bool:
    """Whether the database was told what it is. An SQLite file that is not there is not made."""
    if not exists(alias):
        return False
    tables = connections[alias].introspection.table_names()
    return DatabaseIdentity._meta.db_table in tables and DatabaseIdentity.objects.using(alias).exists()


def home_says(alias: str) -> uuid.UUID | None:
    """Which database the home knows at this place; None if none was introduced there, or the home is new itself."""
    home = home_of(context_of_alias(alias))
    if home == alias or not is_introduced(home):
        return None
    return Shard.objects.using(home).filter(alias=alias).values_list("uuid", flat=True).first()
