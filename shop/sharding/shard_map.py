"""Which shard owns which bucket, as the context's home says; kept in memory, and read anew when it has changed.

It may be old by moments, and need not be more: a shard that is written to by an old map refuses (`shop.sharding.guard`,
`shop.sharding.fence`), and who was refused reads the map at once. Everybody else learns from `shop.sharding.map_watch`.
"""

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shop.sharding.errors import ShardMoved
from shop.sharding.ids import bucket_of
from shop.sharding.stored_map import sound_map

PATIENCE_SECONDS: Final = 3.0
"""For a map that names an owner who accepts: between two owners, nobody is for some milliseconds."""
LOOK_AGAIN_SECONDS: Final = 0.01


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
on_load: list[Callable[[], object]] = []
"""Called whenever a map was read: `shop.sharding.map_watch` begins with the first."""


def shard_map(context: str) -> ShardMap:
    """The map of ``context``.

    Raises:
        ShardMapMissing: There is none, or it can't be right.
    """
    return _maps.get(context) or load_shard_map(context)


def load_shard_map(context: str) -> ShardMap:
    """The map as the home has it now; kept, unless a newer one is known already.

    Raises:
        ShardMapMissing: There is none, or it can't be right.
    """
    found = _load(context)
    with _loading:
        known = _maps.get(context)
        if known is None or known.epoch < found.epoch:
            _maps[context] = known = found
    for call in on_load:
        call()
    return known


def forget_shard_map(context: str) -> None:
    """Read the map of ``context`` again when it is needed next."""
    _maps.pop(context, None)


def known_maps() -> dict[str, ShardMap]:
    """By context: the maps that this process has read so far."""
    return dict(_maps)


def learn(context: str, refused: ShardMoved, until: float) -> None:
    """Read the map of ``context`` after a shard refused to write what this process's map had led there.

    Args:
        context: Whose map it is.
        refused: What the shard said.
        until: How long to try; monotonic seconds.

    Raises:
        ShardMoved: ``refused`` itself: it is too late.
    """
    old = shard_map(context).epoch
    if load_shard_map(context).epoch <= max(old, refused.epoch - 1):
        if time.monotonic() > until:
            raise refused
        time.sleep(LOOK_AGAIN_SECONDS)


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
    found = sound_map(context)
    return ShardMap(
        epoch=found.epoch,
        lows=tuple(entry.lo for entry in found.entries),
        highs=tuple(entry.hi for entry in found.entries),
        aliases=tuple(entry.alias for entry in found.entries),
    )


os.register_at_fork(after_in_child=_maps.clear)  # the child reads it itself, and begins a watch of its own with that
