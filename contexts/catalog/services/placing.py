"""Which shard what is on, in the order in which shards are entered. Services only."""

from collections.abc import Iterable
from typing import Final

from shop import sharding

CONTEXT: Final = "catalog"


def by_shard(ids: Iterable[int]) -> list[list[int]]:
    """``ids`` sorted and grouped by catalog's shards."""
    return sharding.by_shard(CONTEXT, ids)
