"""What a database is told about itself when it is first migrated, and the check that it is still the same one."""

import uuid
from collections.abc import Sequence

from django.db import connections, transaction

from shop.sharding.databases import aliases_of, context_of_alias, home_of
from shop.sharding.ids import BUCKETS
from shop.sharding.models import DatabaseIdentity, Shard, ShardEpoch, ShardMapEntry, ShardSlice
from shop.sharding.shard_map import forget_shard_map


class ForeignDatabase(RuntimeError):
    """The database behind a URL is not the one that was there before, or belongs to another context."""


def even_split(aliases: Sequence[str]) -> list[tuple[int, int, str]]:
    """``(lo, hi, alias)``: all buckets, split evenly and in order."""
    edges = [position * BUCKETS // len(aliases) for position in range(len(aliases) + 1)]
    return [(edges[i], edges[i + 1] - 1, alias) for i, alias in enumerate(aliases)]


def introduce(alias: str) -> None:
    """Write identity, map and slices into a freshly migrated database. Safe to repeat; the home comes first.

    The home's map is written once, for the databases configured then. A database added later owns nothing until
    buckets are moved to it.

    Raises:
        ForeignDatabase: It was introduced before, as another one.
    """
    context = context_of_alias(alias)
    with transaction.atomic(using=alias):
        check_identity(alias)
        if not DatabaseIdentity.objects.using(alias).exists():
            DatabaseIdentity.objects.using(alias).create(uuid=uuid.uuid4(), context=context, alias=alias)
        if alias == home_of(context):
            _write_map(context)
        if not ShardSlice.objects.using(alias).exists():
            entries = list(ShardMapEntry.objects.using(home_of(context)).order_by("lo"))
            ShardSlice.objects.using(alias).bulk_create(
                ShardSlice(lo=e.lo, hi=e.hi, owned=e.alias == alias, epoch=e.epoch) for e in entries
            )
    forget_shard_map(context)


def _write_map(context: str) -> None:
    home, aliases = home_of(context), aliases_of(context)
    known = set(Shard.objects.using(home).values_list("alias", flat=True))
    Shard.objects.using(home).bulk_create(Shard(alias=alias) for alias in aliases if alias not in known)
    if not ShardMapEntry.objects.using(home).exists():
        ShardEpoch.objects.using(home).create(epoch=1)
        ShardMapEntry.objects.using(home).bulk_create(
            ShardMapEntry(lo=lo, hi=hi, alias=alias) for lo, hi, alias in even_split(aliases)
        )


def recognise(alias: str) -> None:
    """Like `check_identity`, also for a database that is still empty: to be called before anything is written there.

    Raises:
        ForeignDatabase: It was introduced before, as another one.
    """
    if DatabaseIdentity._meta.db_table in connections[alias].introspection.table_names():
        check_identity(alias)


def check_identity(alias: str) -> None:
    """Compare what the database says it is with what the settings say.

    Raises:
        ForeignDatabase: They disagree.
    """
    known = DatabaseIdentity.objects.using(alias).first()
    context = context_of_alias(alias)
    if known is not None and (known.context, known.alias) != (context, alias):
        raise ForeignDatabase(
            f"{context.upper()}_DATABASES: the database of {alias} was migrated as {known.alias} of {known.context}; "
            "put every URL back to its place"
        )
