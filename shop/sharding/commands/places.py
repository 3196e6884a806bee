"""What a database says of itself: where it is, how large, which slices it owns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connections

from shop.sharding.databases import context_of_alias, file_of, home_of
from shop.sharding.ids import BUCKETS
from shop.sharding.models import ShardSlice

WAL: Final = "-wal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """What one database says it owns: ``(lo, hi, owned, epoch)``, sorted; the home's slice is not among them.

    One that was never introduced has no rows; one that was has some, unless it lost them.
    """

    alias: str
    rows: Sequence[tuple[int, int, bool, int]]
    introduced: bool = True

    @property
    def owned(self) -> list[tuple[int, int]]:
        """Slices that it owns, neighbours joined."""
        return joined((lo, hi) for lo, hi, mine, _ in self.rows if mine)

    @property
    def epoch(self) -> int:
        """The newest that it knows of."""
        return max((epoch for *_, epoch in self.rows), default=0)

    def epoch_of(self, bucket: int) -> int:
        """Since when it says what it says of ``bucket``."""
        return next((epoch for lo, hi, _, epoch in self.rows if lo <= bucket <= hi), 0)


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same buckets in as few ranges as there can be."""
    found: list[tuple[int, int]] = []
    for lo, hi in sorted(ranges):
        if found and lo <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(hi, found[-1][1])
        else:
            found.append((lo, hi))
    return found


def width(ranges: Iterable[tuple[int, int]]) -> int:
    """Number of buckets."""
    return sum(hi - lo + 1 for lo, hi in ranges)


def engine_of(alias: str) -> str:
    """``postgresql`` or ``sqlite``."""
    return connections[alias].vendor


def where(alias: str) -> str:
    """Host, port and name, or the file; never user or password."""
    known = connections[alias].settings_dict
    if engine_of(alias) == "sqlite":
        return str(known["NAME"])
    port = f":{known['PORT']}" if known["PORT"] else ""
    return f"{known['HOST'] or 'local socket'}{port}/{known['NAME']}"


def is_home(alias: str) -> bool:
    """Whether it holds what its context does not shard."""
    return alias == home_of(context_of_alias(alias))


def bytes_of(alias: str) -> int:
    """What the database takes on disk: as PostgreSQL says, or the file and its log."""
    if engine_of(alias) == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    file = file_of(alias)
    files = [] if file is None else [file, file.with_name(file.name + WAL)]
    return sum(each.stat().st_size for each in files if each.exists())


def slices_of(alias: str) -> Slices:
    """What the database says it owns. Database: ``alias``."""
    rows = ShardSlice.objects.using(alias).filter(lo__lt=BUCKETS).order_by("lo", "hi")
    return Slices(alias=alias, rows=tuple(rows.values_list("lo", "hi", "owned", "epoch")))
