"""`manage.py shards plan`: which slices to move where. Nothing moves by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from shop.sharding.commands.asking import Refused, ask_each
from shop.sharding.commands.places import slices_of
from shop.sharding.commands.planning import Balance, Move, plan, spread
from shop.sharding.commands.processes import processes_of, requests_of
from shop.sharding.commands.rows import Rows, count_rows, tables_by_bucket
from shop.sharding.databases import aliases_of, file_of
from shop.sharding.errors import ShardMapMissing
from shop.sharding.first_migrate import is_introduced
from shop.sharding.ids import BUCKETS
from shop.sharding.stored_map import StoredMap, sound_map

MEASURES: Final = ("rows", "bytes", "requests")
BUCKETS_ALONE: Final = "buckets"
"""What counts where a shop has nothing yet: customers to come are spread evenly over the buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What one shard has."""

    rows: Rows
    bytes: int


def planned(context: str, *, by: str) -> dict[str, Any]:
    """The report, as JSON has it. Database: all of the context.

    Raises:
        Refused: Map and slices disagree, a database can't be asked, or nothing was counted to plan by.
    """
    stored, weights = _look(context)
    owners = _owners(stored)
    shards = list(weights)
    loads, measure = _loads(context, by, owners, weights)
    before = Balance(owners, loads, shards)
    moves = plan(owners, loads, shards)
    after = Balance(owners, loads, shards)
    for move in moves:
        after.apply(move)
    return {
        "context": context,
        "by": measure,
        "exact": all(weight.rows.exact for weight in weights.values()),
        "moves": [_move(move, weights[move.source].rows) for move in moves],
        "shards": [
            {
                "alias": alias,
                "before": round(before.by_shard[alias]),
                "after": round(after.by_shard[alias]),
                "buckets_before": before.owners.count(alias),
                "buckets_after": after.owners.count(alias),
            }
            for alias in shards
        ],
        "skew_before": round(before.skew, 2),
        "skew_after": round(after.skew, 2),
        "heaviest": _heaviest(loads, before.mean),
    }


def _look(context: str) -> tuple[StoredMap, dict[str, Weight]]:
    try:
        stored = sound_map(context)
    except ShardMapMissing as error:
        raise Refused(error.why) from error
    answers = ask_each(aliases_of(context), lambda alias: _weigh(alias) if is_introduced(alias) else None)
    if answers.missing:
        raise Refused(*(f"{alias} can't be asked: {why}" for alias, why in answers.missing.items()))
    weights = {alias: found[1] for alias, found in answers.given.items() if found is not None}
    mapped = _owners(stored)
    for alias, found in answers.given.items():
        owned = {bucket for lo, hi in (found[0] if found else ()) for bucket in range(lo, hi + 1)}
        if owned != {bucket for bucket, owner in enumerate(mapped) if owner == alias}:
            raise Refused(f"the map and {alias} say different things: run `manage.py shards doctor {context}`")
    return stored, weights


def _weigh(alias: str) -> tuple[Sequence[tuple[int, int]], Weight]:
    return slices_of(alias).owned, Weight(rows=count_rows(alias), bytes=_bytes_of_rows(alias))


def _bytes_of_rows(alias: str) -> int:
    """What its tables by bucket and their indexes take; of an SQLite file, which can't say, all of it."""
    if connections[alias].vendor == "postgresql":
        tables = [f'"{table}"' for table in tables_by_bucket(alias)]
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) name", [tables])
            return int(cursor.fetchone()[0])
    file = file_of(alias)
    return file.stat().st_size if file is not None and file.exists() else 0


def _owners(stored: StoredMap) -> list[str]:
    owners = [""] * BUCKETS
    for entry in stored.entries:
        owners[entry.lo : entry.hi + 1] = [entry.alias] * (entry.hi + 1 - entry.lo)
    return owners


def _loads(context: str, by: str, owners: Sequence[str], weights: dict[str, Weight]) -> tuple[list[float], str]:
    """What each bucket weighs, and in what. Bytes and requests of a shard count as spread like its rows."""
    loads = [0.0] * BUCKETS
    processes = processes_of(context) if by == "requests" else []
    for alias, weight in weights.items():
        owned = [bucket for bucket, owner in enumerate(owners) if owner == alias]
        rows = weight.rows.by_bucket
        inside = sum(rows.get(bucket, 0.0) for bucket in owned)
        total = {"rows": inside, "bytes": float(weight.bytes) if inside else 0.0}.get(by, 0.0)
        if by == "requests":
            total = float(requests_of(processes, alias)[0])
        for bucket, load in spread(total, rows, owned).items() if total else ():
            loads[bucket] = load
    if sum(loads):
        return loads, by
    if by == "requests":
        raise Refused("no process that runs now has counted a request: plan by rows, or later")
    return [1.0] * BUCKETS, BUCKETS_ALONE


def _move(move: Move, rows: Rows) -> dict[str, Any]:
    return {
        "lo": move.lo,
        "hi": move.hi,
        "buckets": move.width,
        "from": move.source,
        "to": move.target,
        "load": round(move.load),
        "rows": rows.within([(move.lo, move.hi)]),
    }


def _heaviest(loads: Sequence[float], mean: float) -> dict[str, Any] | None:
    """The bucket that alone is more than a shard's share: no move can divide it."""
    bucket = max(range(BUCKETS), key=loads.__getitem__)
    return {"bucket": bucket, "load": round(loads[bucket])} if loads[bucket] > mean else None
