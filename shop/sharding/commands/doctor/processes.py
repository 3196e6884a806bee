"""The processes of a context: who goes by an old map, who has fallen silent, whether worker numbers run out."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from shop.sharding.commands.doctor.postgresql import most_connections
from shop.sharding.commands.doctor.words import Finding
from shop.sharding.commands.places import engine_of, where
from shop.sharding.commands.processes import Process, behind, processes_of
from shop.sharding.commands.shown import aged
from shop.sharding.databases import home_of
from shop.sharding.generator import LEASE_SECONDS
from shop.sharding.ids import WORKERS
from shop.sharding.map_watch import ALIVE_SECONDS
from shop.sharding.models import ShardEpoch, WorkerLease

LOOK_AGAIN_SECONDS: Final = 2.0
"""A process learns of a new map within a second."""
MANY: Final = 0.8


def check_processes(context: str, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Finding]:
    """Database: the home. Looks twice at who is behind: for a moment everybody is."""
    yield from _behind(context, sleep)
    processes, leases = processes_of(context), _leases(context)
    yield from _silent(context, processes, leases)
    if len(leases) >= MANY * WORKERS:
        what = f"{len(leases)} of {WORKERS} worker numbers are leased; without one, a process makes no IDs"
        do = f"one is free {LEASE_SECONDS / 60:.0f} min after its process ended: start fewer, or find what dies"
        yield Finding(check="workers", place=context, what=what, do=do)


def check_budget(context: str, aliases: Collection[str], *, connections_each: int) -> Iterator[Finding]:
    """Whether a server has room for all that the living processes may open.

    Database: the home, and of each server one of ``aliases``, those that answer.
    """
    living = sum(process.alive for process in processes_of(context))
    servers = {_server(alias): alias for alias in aliases if engine_of(alias) == "postgresql"}
    for server, alias in servers.items():
        most = most_connections(alias)
        if living * connections_each > most:
            what = f"{living} processes may open {living * connections_each} connections, {server} gives {most}"
            do = "raise max_connections there, or lower DATABASE_CONNECTIONS or the number of processes"
            yield Finding(check="budget", place=alias, what=what, do=do)


def _server(alias: str) -> str:
    return where(alias).rpartition("/")[0]


def told_of_leases(context: str) -> str:
    """How many worker numbers are leased, and how many of them by processes that are gone. Database: the home."""
    leases, living = _leases(context), {p.worker for p in processes_of(context) if p.alive}
    gone = len(set(leases) - living)
    words = f", {gone} of them by processes that are gone or did not say; free again within minutes" if gone else ""
    return f"{context}: {len(leases)} of {WORKERS} worker numbers are leased{words}"


def _behind(context: str, sleep: Callable[[float], None]) -> Iterator[Finding]:
    epoch = ShardEpoch.objects.using(home_of(context)).values_list("epoch", flat=True).first() or 0
    if not behind(processes_of(context), epoch):
        return
    sleep(LOOK_AGAIN_SECONDS)
    for process in behind(processes_of(context), epoch):
        what = f"{_named(process)} goes by the map of epoch {process.epoch}, the present one is {epoch}"
        do = "look for `map_not_read` in its log: its list of URLs may be older than the map; restart it"
        yield Finding(check="behind", place=context, what=what, do=do)


def _silent(context: str, processes: Sequence[Process], leases: dict[int, float]) -> Iterator[Finding]:
    """Who still makes IDs and no longer says which map it knows: nobody can wait for it."""
    for process in processes:
        raised_seconds = LEASE_SECONDS - leases[process.worker] if process.worker in leases else None
        if not process.alive and raised_seconds is not None and raised_seconds < process.seen_seconds - ALIVE_SECONDS:
            what = f"{_named(process)} makes IDs, and has not said for {aged(process.seen_seconds)} which map it knows"
            yield Finding(check="silent", place=context, what=what, do="restart it: its watch of the map is dead")


def _leases(context: str) -> dict[int, float]:
    """By worker number that is leased: seconds until it is free."""
    now = datetime.now(UTC)
    rows = WorkerLease.objects.using(home_of(context)).filter(expires_at__gt=now)
    return {worker: (until - now).total_seconds() for worker, until in rows.values_list("worker", "expires_at")}


def _named(process: Process) -> str:
    return f"{process.role} (process {process.pid} on {process.host})"
