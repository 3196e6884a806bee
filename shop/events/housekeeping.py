"""Chores that every hosted context needs, whatever it does."""

from functools import partial

from shop.events.jobs import chore
from shop.sharding import hosted_contexts
from shop.sharding.unique import dangling, resolve_dangling

SECONDS = 10.0


def register_housekeeping() -> None:
    """Declare the kernel's jobs for every context hosted here."""
    for context in hosted_contexts():
        chore(context, "finish_dangling_values", SECONDS, partial(finish_dangling_values, context))


def finish_dangling_values(context: str) -> int:
    """Finish what a crash left between reserve and confirm; returns how many values."""
    rows = list(dangling(context))
    for row in rows:
        resolve_dangling(context, row)
    return len(rows)
