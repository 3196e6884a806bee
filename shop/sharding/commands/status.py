"""`manage.py shards status`: where everything is, how much of it, and who knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shop.sharding.commands.asking import ask_each
from shop.sharding.commands.places import bytes_of, engine_of, is_home, slices_of, where, width
from shop.sharding.commands.processes import Process, processes_of, requests_of
from shop.sharding.commands.rows import count_rows
from shop.sharding.databases import aliases_of, home_of
from shop.sharding.first_migrate import check_place, is_introduced
from shop.sharding.stored_map import StoredMap, stored_map

MEASURES: Final = ("rows", "bytes", "requests")
NOT_INTRODUCED: Final = "nothing there was ever told what it is: `manage.py shards doctor` says what to do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one database answered; nothing but ``introduced`` where it was never told what it is."""

    introduced: bool
    slices: Sequence[tuple[int, int]] = ()
    epoch: int = 0
    rows: int = 0
    exact: bool = True
    bytes: int = 0


def look(alias: str) -> Seen:
    """Database: ``alias``.

    Raises:
        ForeignDatabase: It says that it is another one.
    """
    if not is_introduced(alias):
        return Seen(introduced=False)
    check_place(alias)
    slices, rows = slices_of(alias), count_rows(alias)
    return Seen(
        introduced=True,
        slices=slices.owned,
        epoch=slices.epoch,
        rows=rows.within(slices.owned),
        exact=rows.exact,
        bytes=bytes_of(alias),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHome:
    """What a context's home says of map and processes, and what is wrong with the map, or why it did not answer."""

    stored: StoredMap | None
    processes: Sequence[Process] = ()
    fault: str = ""


def look_home(context: str) -> AtHome:
    """Database: the home."""

    def told(home: str) -> tuple[StoredMap, Sequence[Process]]:
        if is_introduced(home):
            check_place(home)
        return stored_map(context), processes_of(context)

    answers = ask_each([home_of(context)], told)
    for stored, processes in answers.given.values():
        return AtHome(stored=stored, processes=processes, fault="; ".join(stored.faults()))
    return AtHome(stored=None, fault=next(iter(answers.missing.values())))


def status(contexts: Sequence[str]) -> dict[str, Any]:
    """The report, as JSON has it. Database: all of these contexts, each by itself."""
    answers = ask_each([alias for context in contexts for alias in aliases_of(context)], look)
    described = [_context(context, answers.given, answers.missing) for context in contexts]
    complete = all(shard["answers"] for each in described for shard in each["shards"])
    return {"complete": complete and all(each["fault"] is None for each in described), "contexts": described}


def _context(context: str, given: dict[str, Seen], missing: dict[str, str]) -> dict[str, Any]:
    home = look_home(context)
    epoch = home.stored.epoch if home.stored else 0
    shards = [
        _shard(alias, given.get(alias), missing.get(alias), home.processes if home.stored else None)
        for alias in aliases_of(context)
    ]
    return {
        "context": context,
        "epoch": epoch or None,
        "fault": home.fault or None,
        "shards": shards,
        "skew": {measure: skew([s[measure] for s in shards if s["buckets"]]) for measure in MEASURES},
        "processes": [_process(process, epoch) for process in home.processes],
    }


def _shard(alias: str, seen: Seen | None, reason: str | None, counted: Sequence[Process] | None) -> dict[str, Any]:
    known = seen is not None and seen.introduced
    requests, minute = requests_of(counted or (), alias)
    return {
        "alias": alias,
        "home": is_home(alias),
        "engine": engine_of(alias),
        "where": where(alias),
        "answers": seen is not None,
        "introduced": known if seen else None,
        "reason": reason if seen is None else None if known else NOT_INTRODUCED,
        "buckets": width(seen.slices) if seen and known else None,
        "slices": [list(each) for each in seen.slices] if seen and known else None,
        "epoch": seen.epoch if seen and known else None,
        "rows": seen.rows if seen and known else None,
        "rows_exact": seen.exact if seen and known else None,
        "bytes": seen.bytes if seen and known else None,
        "requests": None if counted is None else requests,
        "requests_last_minute": None if counted is None else minute,
    }


def _process(process: Process, epoch: int) -> dict[str, Any]:
    return {
        "id": process.id,
        "role": process.role,
        "host": process.host,
        "pid": process.pid,
        "worker": process.worker,
        "epoch": process.epoch,
        "alive": process.alive,
        "behind": process.alive and process.epoch < epoch,
        "seen_seconds": round(process.seen_seconds, 1),
        "up_seconds": round(process.started_seconds),
    }


def skew(values: Sequence[float | None]) -> float | None:
    """The most that one has, over what each would have if all had the same; None where nothing is known or there."""
    known = [value for value in values if value is not None]
    if not known or not sum(known):
        return None
    return round(max(known) * len(known) / sum(known), 2)
