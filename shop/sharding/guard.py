"""The guard: a transaction's first statement asks the database whether it owns what is about to be written."""

from collections.abc import Sequence

from django.db import connections


def guard(alias: str, buckets: Sequence[int]) -> None:
    """Make sure that ``alias`` owns ``buckets``, until the open transaction ends; before anything else in it.

    On PostgreSQL it goes with the BEGIN, in one way there and back, and takes the buckets' locks, shared with others
    who write. A transaction on SQLite is alone anyway.

    Raises:
        ShardMoved: The database does not own one of them.
    """
    connections[alias].begin_guarded(buckets)  # type: ignore[attr-defined]  # our own backends'
