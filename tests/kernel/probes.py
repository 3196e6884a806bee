"""Throw-away tables of catalog for the kernel's tests: no context has to have models for the router to be tested."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.apps import AppConfig
from django.apps.registry import Apps
from django.db import connections, models

from shop.sharding import aliases_of, new_id, shard_atomic
from shop.sharding.sharded import HomeModel, ShardedModel

CONTEXT = "catalog"
ALIASES = list(aliases_of(CONTEXT))
LAST = ALIASES[-1]
LEFT, RIGHT = 10, 4000
"""A bucket of the first shard, and one of the last."""


class _Probes(AppConfig):
    """An app of catalog's label in a registry of its own, so that no other test sees these models."""

    label = "shop_catalog"
    path = "."


_registry = Apps([_Probes("tests.kernel", None)])


class Parcel(ShardedModel):
    """A sharded aggregate; its owner lives in the same bucket."""

    shard_keys: ClassVar[tuple[str, ...]] = ("owner_id",)

    owner_id = models.BigIntegerField()
    label = models.CharField(max_length=200, default="")
    weight = models.IntegerField(default=0)
    sent_at = models.DateTimeField(default=datetime(2026, 1, 1, tzinfo=UTC))

    class Meta(ShardedModel.Meta):
        app_label = "shop_catalog"
        apps = _registry
        db_table = "shop_catalog_probe_parcel"


class Item(ShardedModel):
    """A part of a parcel."""

    shard_keys: ClassVar[tuple[str, ...]] = ("parcel_id",)

    parcel = models.ForeignKey(Parcel, models.CASCADE, related_name="items")
    name = models.CharField(max_length=40, default="")

    class Meta(ShardedModel.Meta):
        app_label = "shop_catalog"
        apps = _registry
        db_table = "shop_catalog_probe_item"


class Note(ShardedModel):
    """What may lie beside a parcel, or for itself."""

    shard_keys: ClassVar[tuple[str, ...]] = ("parcel_id",)

    parcel = models.ForeignKey(Parcel, models.SET_NULL, null=True, related_name="notes")
    text = models.CharField(max_length=40, default="")
    serial = models.IntegerField(null=True)

    class Meta(ShardedModel.Meta):
        app_label = "shop_catalog"
        apps = _registry
        db_table = "shop_catalog_probe_note"
        constraints = (
            models.UniqueConstraint(fields=("parcel", "text"), name="probe_note_once"),
            models.UniqueConstraint(fields=("serial",), name="probe_note_serial"),
        )


class Sticker(ShardedModel):
    """What many parcels have."""

    parcels = models.ManyToManyField(Parcel, through="Stuck", related_name="stickers")
    colour = models.CharField(max_length=40, default="")

    class Meta(ShardedModel.Meta):
        app_label = "shop_catalog"
        apps = _registry
        db_table = "shop_catalog_probe_sticker"


class Stuck(ShardedModel):
    """A sticker on a parcel."""

    shard_keys: ClassVar[tuple[str, ...]] = ("parcel_id", "sticker_id")

    parcel = models.ForeignKey(Parcel, models.CASCADE)
    sticker = models.ForeignKey(Sticker, models.CASCADE)

    class Meta(ShardedModel.Meta):
        app_label = "shop_catalog"
        apps = _registry
        db_table = "shop_catalog_probe_stuck"


SHARDED = (Parcel, Item, Note, Sticker, Stuck)
"""Each behind what it belongs to."""


class Notice(HomeModel):
    """A row at the home."""

    text = models.CharField(max_length=40, default="")

    class Meta:
        app_label = "shop_catalog"
        apps = _registry
        db_table = "shop_catalog_probe_notice"


def make_tables() -> None:
    """Create the tables, in a database that has none of them yet."""
    for alias in ALIASES:
        with connections[alias].schema_editor() as editor:
            for model in (*SHARDED, *([Notice] if alias == "catalog_0" else [])):
                editor.create_model(model)
            if connections[alias].vendor == "postgresql":  # a label sorts as people do, which is not as Python does
                text = 'ALTER TABLE {} ALTER COLUMN label TYPE varchar(200) COLLATE "en-x-icu"'
                editor.execute(text.format(Parcel._meta.db_table))


def empty_tables() -> None:
    """Delete all rows: a test without a transaction around it leaves them."""
    for alias in ALIASES:
        with connections[alias].cursor() as cursor:
            for model in (*reversed(SHARDED), *([Notice] if alias == "catalog_0" else [])):
                cursor.execute(f"DELETE FROM {model._meta.db_table}")  # noqa: S608  names from this file


def copy_to(alias: str, *rows: Any) -> None:
    """Write rows into a database that does not own them, as a move does: past every check."""
    for row in rows:
        models.QuerySet(type(row), using=alias).bulk_create([row])


def parcel_in(bucket: int, **fields: Any) -> Parcel:
    """A stored parcel of a new owner in ``bucket``."""
    owner = fields.pop("owner_id", None) or new_id(CONTEXT, bucket=bucket)
    with shard_atomic(CONTEXT, owner):
        made: Parcel = Parcel.objects.create(id=new_id(CONTEXT, near=owner), owner_id=owner, **fields)
    return made
