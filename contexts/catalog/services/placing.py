"""Which shard what is on, in the order in which shards are entered. Services only."""

from collections.abc import Iterable
from typing import Final

from shop.sharding import bucket_of, shard_map

CONTEXT: Final = "catalog"


def by_shard(ids: Iterable[int]) -> list[list[int]]:
    """``ids`` sorted and grouped by shard, shards in bucket order: the order in which locks are taken."""
    owners = shard_map(CONTEXT)
    groups: dict[str, list[int]] = {alias: [] for alias in owners.owners()}
    for each in sorted(set(ids)):
        groups[owners.alias_of_bucket(bucket_of(each))].append(each)
    return [group for group in groups.values() if group]
