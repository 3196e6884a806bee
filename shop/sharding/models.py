"""Control tables of sharding. Every database has the first group, only homes the second."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from shop.sharding.ids import HOME_SLICE, WORKERS


class KernelModel(models.Model):
    """A table that many databases have: always `.using(alias)`, the router refuses to guess.

    ``home_only`` tables exist in homes, the others in every database of every context.
    """

    home_only: ClassVar[bool] = False

    class Meta:
        abstract = True


class PlacedModel(KernelModel):
    """A table of the kernel that is spread like the contexts' own: a row lies in the bucket of its ID."""

    id = models.BigIntegerField(primary_key=True)

    class Meta:
        abstract = True


class DatabaseIdentity(KernelModel):
    """Which database this is: written at its first migration, compared at every start."""

    uuid = models.UUIDField(primary_key=True)
    context = models.CharField(max_length=50)
    alias = models.CharField(max_length=60)
    created_at = models.DateTimeField(db_default=Now())


class ShardSlice(KernelModel):
    """Buckets ``lo`` … ``hi`` as this very database sees them. The truth; the map can be rebuilt from it.

    A home has one slice more: ``HOME_SLICE``, what the context does not shard.
    """

    lo = models.PositiveSmallIntegerField(primary_key=True)
    hi = models.PositiveSmallIntegerField()
    owned = models.BooleanField()
    epoch = models.BigIntegerField(default=1)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(lo__lte=models.F("hi"), hi__lte=HOME_SLICE), name="shop_slice_range"
            ),
        )


class UniqueValue(PlacedModel):
    """A value that is unique over all shards of a context, in the bucket of its hash: e-mail, SKU."""

    class State(models.TextChoices):
        RESERVED = "reserved"
        CONFIRMED = "confirmed"

    kind = models.CharField(max_length=30)
    value = models.CharField(max_length=300)
    target_id = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State.choices)
    reserved_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "value"), name="shop_unique_value"),)
        indexes = (
            models.Index(fields=("reserved_at",), condition=models.Q(state="reserved"), name="shop_unique_dangling"),
            models.Index(fields=("target_id",), name="shop_unique_of_target"),
        )


class UniqueTarget(PlacedModel):
    """Whether the owner of a unique value was made. Lies in the target's bucket under the target's own ID.

    The one who inserts the row decides: the creator within its transaction, or, when it seems dead, whoever needs the
    value with ``void`` set. After that the other one can't.
    """

    void = models.BooleanField(default=False)


class Shard(KernelModel):
    """A database of this context that may own buckets, and which one that was when it was introduced."""

    home_only = True

    alias = models.CharField(max_length=60, primary_key=True)
    uuid = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now())


class ShardMapEntry(KernelModel):
    """Buckets ``lo`` … ``hi`` live at ``alias``. A copy of what the shards' own slices say."""

    home_only = True

    lo = models.PositiveSmallIntegerField(primary_key=True)
    hi = models.PositiveSmallIntegerField()
    alias = models.CharField(max_length=60)
    epoch = models.BigIntegerField(default=1)


class ShardEpoch(KernelModel):
    """Number of the present map; one row. ``url`` is where the context is answered instead of here, if it is.

    ``bound`` counts the changes of that.
    """

    home_only = True

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.BigIntegerField(default=1)
    url = models.CharField(max_length=200, default="", db_default="", blank=True)
    bound = models.BigIntegerField(default=0, db_default=0)


class ShardProcess(KernelModel):
    """A process that uses the map, which one it has seen, and when it last said so.

    ``worker`` is the number it makes IDs with, if it does. ``requests`` are those of the API by the database that they
    asked: ``{alias: [since the process began, in the last minute]}``.
    """

    home_only = True

    id = models.UUIDField(primary_key=True)
    pid = models.PositiveIntegerField()
    host = models.CharField(max_length=120)
    role = models.CharField(max_length=60)
    epoch = models.BigIntegerField()
    worker = models.PositiveSmallIntegerField(null=True)
    requests = models.JSONField(default=dict)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())


class WorkerLease(KernelModel):
    """Who may make IDs with this worker number, and up to which tick. See `shop.sharding.generator`."""

    home_only = True

    worker = models.PositiveSmallIntegerField(primary_key=True)
    token = models.UUIDField()
    high_ms = models.BigIntegerField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(worker__lt=WORKERS), name="shop_worker_range"),)
