"""The map as a context's home stores it, and whether it can be right. Who routes by it comes in through `shard_map`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.db.models import Subquery

from shop.sharding.databases import aliases_of, home_of
from shop.sharding.errors import ShardMapMissing
from shop.sharding.ids import BUCKETS
from shop.sharding.models import ShardEpoch, ShardMapEntry

NO_EPOCH: Final = "the map has no epoch"


class Entry(NamedTuple):
    """Buckets ``lo`` … ``hi`` live at ``alias``, since ``epoch``."""

    lo: int
    hi: int
    alias: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMap:
    """What the home's tables say, right or not; ``epoch`` is 0 where none is stored."""

    context: str
    epoch: int
    entries: Sequence[Entry]

    def faults(self) -> list[str]:
        """What can't be right: no map at all, no epoch, gaps, buckets given away twice, databases that nobody knows."""
        if not self.entries:
            return ["there is no shard map"]
        return [*([] if self.epoch else [NO_EPOCH]), *gaps_and_overlaps(self.entries), *self._unknown()]

    def _unknown(self) -> list[str]:
        setting, known = f"{self.context.upper()}_DATABASES", set(aliases_of(self.context))
        unknown = sorted({entry.alias for entry in self.entries} - known)
        return [f"the map gives buckets to {alias}, and {setting} has no such place" for alias in unknown]


def stored_map(context: str) -> StoredMap:
    """The map as it is stored. Database: the home, one statement: rows and epoch belong together."""
    home = home_of(context)
    epoch = Subquery(ShardEpoch.objects.using(home).values("epoch")[:1])
    rows = list(ShardMapEntry.objects.using(home).annotate(present=epoch).order_by("lo", "hi"))
    entries = tuple(Entry(row.lo, row.hi, row.alias, row.epoch) for row in rows)
    return StoredMap(context=context, epoch=(rows[0].present or 0) if rows else 0, entries=entries)


def sound_map(context: str) -> StoredMap:
    """The same.

    Raises:
        ShardMapMissing: It can't be right.
    """
    found = stored_map(context)
    if faults := found.faults():
        raise refused_map(context, "; ".join(faults[:3]))
    return found


def refused_map(context: str, why: str) -> ShardMapMissing:
    """The error of a map that can't be used."""
    what_to_do = f"run `manage.py migrate_contexts` if the shop is new, else `manage.py shards rebuild-map {context}`"
    return ShardMapMissing(
        detail=f"where rows of {context} live is unknown at the moment", why=f"{context}: {why}: {what_to_do}"
    )


def gaps_and_overlaps(ranges: Sequence[Entry]) -> Iterator[str]:
    """Buckets that no range has, and buckets that two have; ``ranges`` are sorted by ``lo``."""
    expected = 0
    for each in ranges:
        if each.lo > expected:
            yield f"nobody is said to own {shown(expected, each.lo - 1)}"
        elif each.lo < expected:
            twice = min(each.hi, expected - 1)
            yield f"{shown(each.lo, twice)} {'is' if twice == each.lo else 'are'} given away twice"
        expected = max(expected, each.hi + 1)
    if expected < BUCKETS:
        yield f"nobody is said to own {shown(expected, BUCKETS - 1)}"
    elif expected > BUCKETS:
        yield f"there is no {shown(BUCKETS, expected - 1)}"


def shown(lo: int, hi: int) -> str:
    """``bucket 7`` or ``buckets 7-9``."""
    return f"bucket {lo}" if lo == hi else f"buckets {lo}-{hi}"
