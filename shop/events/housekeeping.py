"""A chore that every hosted context needs, whatever it does. The kernel's `apps` declares it."""

from shop.events.jobs import one_by_one
from shop.sharding import aliases_of
from shop.sharding.models import UniqueValue
from shop.sharding.unique import dangling, resolve_dangling


def finish_dangling_values(context: str) -> int:
    """Finish what a crash left between reserve and confirm, shard by shard; returns how many values."""

    def finish(row: UniqueValue) -> int:
        resolve_dangling(context, row)
        return 1

    return one_by_one(aliases_of(context), lambda alias: one_by_one(dangling(alias), finish))
