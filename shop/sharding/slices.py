"""How buckets change hands: the source gives up, then the home's map says so, and the target takes. Never two owners.

Each step is a transaction of its own, and safe to repeat. Between the first and the last nobody owns the buckets, and
who wants to write there waits (`shop.sharding.scope`). Who moves them brings the rows along: that is not done here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final

from django.db import IntegrityError, connections, transaction

from shop.sharding.databases import home_of
from shop.sharding.fence import LOCK_CLASS
from shop.sharding.ids import BUCKETS
from shop.sharding.models import ShardEpoch, ShardMapEntry, ShardSlice
from shop.sharding.stored_map import NO_EPOCH, refused_map, sound_map

LOCK_WAIT: Final = "100ms"
"""For those who write there now. Who waits in vain gives up and comes again: behind it, others would wait too."""
ALL_SLICES: Final = -1
"""Where the buckets' locks are: one for whoever rewrites the slices."""


def lock_buckets(alias: str, lo: int, hi: int) -> None:
    """Wait until nobody writes in ``lo`` … ``hi``, and let nobody begin until the open transaction ends.

    Raises:
        OperationalError: Somebody wrote there for longer than ``LOCK_WAIT``.
    """
    if connections[alias].vendor != "postgresql":
        return  # the transaction is the only one that writes
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s, b) FROM generate_series(%s, %s) b", [LOCK_CLASS, lo, hi])


@contextmanager
def changing_slices(alias: str) -> Iterator[None]:
    """A transaction in which ``alias`` gives buckets up, or takes them. Of two at once, one waits."""
    with transaction.atomic(using=alias):
        if connections[alias].vendor == "postgresql":
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_CLASS, ALL_SLICES])
        yield


def set_owned(alias: str, lo: int, hi: int, *, owned: bool, epoch: int) -> None:
    """Write down whether ``alias`` owns ``lo`` … ``hi``, as of ``epoch``; within `changing_slices`."""
    slices = ShardSlice.objects.using(alias).filter(lo__lt=BUCKETS)
    said: list[tuple[bool, int]] = [(False, 0)] * BUCKETS
    for row in slices:
        said[row.lo : row.hi + 1] = [(row.owned, row.epoch)] * (row.hi + 1 - row.lo)
    said[lo : hi + 1] = [(owned, epoch)] * (hi + 1 - lo)
    slices.delete()
    ShardSlice.objects.using(alias).bulk_create(
        ShardSlice(lo=low, hi=high, owned=mine, epoch=since) for low, high, (mine, since) in runs(said)
    )


def publish(context: str, lo: int, hi: int, alias: str) -> int:
    """Write into the map that ``lo`` … ``hi`` are ``alias``'s; returns the map's new epoch.

    Database: the home, one transaction. Of two who publish at once, one waits.

    Raises:
        ShardMapMissing: There is no map that could be changed, or it can't be right.
    """
    home = home_of(context)
    with transaction.atomic(using=home, durable=True):
        present = ShardEpoch.objects.using(home).select_for_update().first()
        known = sound_map(context)
        if present is None:
            raise refused_map(context, NO_EPOCH)
        said: list[tuple[str, int]] = [("", 0)] * BUCKETS
        for row in known.entries:
            said[row.lo : row.hi + 1] = [(row.alias, row.epoch)] * (row.hi + 1 - row.lo)
        present.epoch += 1
        said[lo : hi + 1] = [(alias, present.epoch)] * (hi + 1 - lo)
        write_map(home, said)
        present.save(using=home)
    return int(present.epoch)


def publish_anew(context: str, said: Sequence[tuple[str, int]], *, epoch: int, instead_of: int) -> bool:
    """Write the whole map, unless another one was published since it was of epoch ``instead_of``: 0 where it had none.

    Database: the home, one transaction; whether it was written.
    """
    home = home_of(context)
    try:
        with transaction.atomic(using=home):
            present = ShardEpoch.objects.using(home).select_for_update().first()
            if (present.epoch if present else 0) != instead_of:
                return False
            write_map(home, said)
            ShardEpoch.objects.using(home).update_or_create(id=1, defaults={"epoch": epoch})
    except IntegrityError:  # two at once, where there was no epoch's row to wait at
        return False
    return True


def write_map(home: str, said: Sequence[tuple[str, int]]) -> None:
    """Write the map anew within the open transaction: owner and epoch of every bucket."""
    ShardMapEntry.objects.using(home).all().delete()
    ShardMapEntry.objects.using(home).bulk_create(
        ShardMapEntry(lo=low, hi=high, alias=owner, epoch=since) for low, high, (owner, since) in runs(said)
    )


def runs[S](said: Sequence[S]) -> list[tuple[int, int, S]]:
    """``(lo, hi, what is said)`` of neighbours of which the same is said."""
    found: list[tuple[int, int, S]] = []
    for value, group in groupby(range(len(said)), key=said.__getitem__):
        buckets = list(group)
        found.append((buckets[0], buckets[-1], value))
    return found
