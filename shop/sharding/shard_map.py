"""Which shard owns which bucket, as the context's home says; kept in memory."""

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shop.sharding.databases import home_of
from shop.sharding.errors import ShardMapMissing
from shop.sharding.ids import bucket_of
from shop.sharding.models import ShardMapEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMap:
    """One context's map: ``aliases[i]`` owns buckets ``lows[i]`` … ``highs[i]``; slices are sorted and leave no gap."""

    epoch: int
    lows: tuple[int, ...]
    highs: tuple[int, ...]
    aliases: tuple[str, ...]

    def alias_of_bucket(self, bucket: int) -> str:
        """Alias that owns ``bucket``."""
        return self.aliases[bisect_right(self.lows, bucket) - 1]

    def owners(self) -> Sequence[str]:
        """Every alias that owns something, in bucket order."""
        return list(dict.fromkeys(self.aliases))

    def slices_of(self, alias: str) -> Sequence[tuple[int, int]]:
        """``(lo, hi)`` of each slice that ``alias`` owns."""
        return [(lo, hi) for lo, hi, owner in zip(self.lows, self.highs, self.aliases, strict=True) if owner == alias]


_maps: dict[str, ShardMap] = {}
_loading = threading.Lock()


def shard_map(context: str) -> ShardMap:
    """The map of ``context``.

    Raises:
        ShardMapMissing: Its databases were never migrated.
    """
    found = _maps.get(context)
    if found is None:
        with _loading:
            found = _maps[context] = _maps.get(context) or _load(context)
    return found


def forget_shard_map(context: str) -> None:
    """Read the map of ``context`` again when it is needed next."""
    _maps.pop(context, None)


def alias_of(context: str, key: int) -> str:
    """Alias of the shard that holds ``key``'s bucket."""
    return shard_map(context).alias_of_bucket(bucket_of(key))


def by_shard(context: str, keys: Iterable[int]) -> list[list[int]]:
    """``keys`` sorted and grouped by shard, shards in bucket order: the order in which locks are taken."""
    owners = shard_map(context)
    groups: dict[str, list[int]] = {alias: [] for alias in owners.owners()}
    for key in sorted(set(keys)):
        groups[owners.alias_of_bucket(bucket_of(key))].append(key)
    return [group for group in groups.values() if group]


def _load(context: str) -> ShardMap:
    rows = list(ShardMapEntry.objects.using(home_of(context)).order_by("lo"))
    if not rows:
        raise ShardMapMissing(f"{context} has no shard map: run `manage.py migrate_contexts`")
    return ShardMap(
        epoch=max(row.epoch for row in rows),
        lows=tuple(row.lo for row in rows),
        highs=tuple(row.hi for row in rows),
        aliases=tuple(row.alias for row in rows),
    )
