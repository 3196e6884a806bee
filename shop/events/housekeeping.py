"""A chore that every hosted context needs, whatever it does. The kernel's `apps` declares it."""

from shop.sharding.unique import dangling, resolve_dangling


def finish_dangling_values(context: str) -> int:
    """Finish what a crash left between reserve and confirm; returns how many values."""
    rows = list(dangling(context))
    for row in rows:
        resolve_dangling(context, row)
    return len(rows)
