"""How many rows lie in which bucket: exact as long as that is cheap, a sample beyond."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from shop.sharding.fence import fenced_models
from shop.sharding.ids import BUCKET_SHIFT, BUCKETS, key_of_bucket

COUNTED: Final = 200_000
"""Rows of one table that are counted one by one; of a larger one, about so many are looked at."""
SAMPLED_PAGES: Final = 2_000
SAMPLED_ROWS: Final = 50_000
STRAYS: Final = 1_000
"""Rows of one table that are counted at most where there should be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of all tables by bucket, and whether that was counted; else it comes from samples."""

    by_bucket: Mapping[int, float]
    exact: bool

    def within(self, ranges: Iterable[tuple[int, int]]) -> int:
        """Rows in these buckets."""
        return round(sum(self.by_bucket.get(b, 0) for lo, hi in ranges for b in range(lo, hi + 1)))


def tables_by_bucket(alias: str) -> list[str]:
    """Tables of ``alias`` whose rows lie by the bucket of their ID."""
    return [model._meta.db_table for model, whole in fenced_models(alias) if whole is None]


def count_rows(alias: str) -> Rows:
    """Rows of ``alias`` by bucket, owned or not. Database: ``alias``, two statements a table at most."""
    found: Counter[int] = Counter()
    exact = True
    for table in tables_by_bucket(alias):
        counted, whole = _rows_of(alias, table)
        found.update(counted)
        exact = exact and whole
    return Rows(by_bucket=found, exact=exact)


def _rows_of(alias: str, table: str) -> tuple[dict[int, float], bool]:
    bounded = f'(SELECT id FROM "{table}" LIMIT {COUNTED + 1})'  # noqa: S608  our own names and numbers
    counted = _by_bucket(alias, f"{bounded} AS part")
    if sum(counted.values()) <= COUNTED:
        return counted, True
    sample = _sample_on_postgresql if connections[alias].vendor == "postgresql" else _sample_on_sqlite
    return sample(alias, table), False


def _sample_on_postgresql(alias: str, table: str) -> dict[int, float]:
    """Some whole pages, chosen by the server."""
    ((pages,),) = _asked(alias, "SELECT pg_relation_size(%s::regclass) / 8192", [f'"{table}"'])
    percent = min(100.0, 100.0 * SAMPLED_PAGES / max(1, pages))
    found = _by_bucket(alias, f'"{table}" TABLESAMPLE SYSTEM ({percent})')
    return {bucket: rows * 100.0 / percent for bucket, rows in found.items()}


def _sample_on_sqlite(alias: str, table: str) -> dict[int, float]:
    """Rows of random places: SQLite numbers the rows of a table as they come, and finds them by that number."""
    ((highest,),) = _asked(alias, f'SELECT max(rowid) FROM "{table}"')  # noqa: S608  our own names
    places = [random.randint(1, highest) for _ in range(SAMPLED_ROWS)]  # noqa: S311  a sample, no secret
    chosen = f'"{table}" JOIN json_each(%s) ON "{table}".rowid = json_each.value'
    found = _by_bucket(alias, chosen, [json.dumps(places)], column=f'"{table}".id')
    return {bucket: rows * highest / SAMPLED_ROWS for bucket, rows in found.items()}


def _by_bucket(alias: str, source: str, values: Sequence[Any] = (), column: str = "id") -> dict[int, float]:
    text = f"SELECT {column} >> {BUCKET_SHIFT} AS bucket, count(*) FROM {source} GROUP BY 1"  # noqa: S608  our own names
    return {int(bucket): float(rows) for bucket, rows in _asked(alias, text, values)}


def _asked(alias: str, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(text, list(values))
        return list(cursor.fetchall())


def strays(alias: str, owned: Iterable[tuple[int, int]]) -> Iterator[tuple[str, int]]:
    """Tables with rows in buckets that are not among ``owned``, and how many: `STRAYS` are counted at most."""
    elsewhere = list(gaps(owned))
    for table in tables_by_bucket(alias):
        if found := sum(_at_most(alias, table, lo, hi) for lo, hi in elsewhere):
            yield table, min(found, STRAYS)


def _at_most(alias: str, table: str, lo: int, hi: int) -> int:
    inside = f'SELECT 1 FROM "{table}" WHERE id >= %s AND id <= %s LIMIT {STRAYS}'  # noqa: S608  our own names
    text = f"SELECT count(*) FROM ({inside}) AS part"  # noqa: S608  as above
    ((found,),) = _asked(alias, text, [key_of_bucket(lo), key_of_bucket(hi + 1) - 1])
    return int(found)


def gaps(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The buckets that sorted ``ranges`` leave out."""
    expected = 0
    for lo, hi in ranges:
        if lo > expected:
            yield expected, lo - 1
        expected = hi + 1
    if expected < BUCKETS:
        yield expected, BUCKETS - 1
