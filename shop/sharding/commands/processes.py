"""Who uses a context's map, and what they counted: as each of them says at the home."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from shop.sharding.databases import home_of
from shop.sharding.map_watch import ALIVE_SECONDS
from shop.sharding.models import ShardProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process.

    Attributes:
        seen_seconds: How long ago it said so, by the home's clock.
        epoch: Of the map that it knows.
        requests: Since it began, by database; ``minute`` those of the last one.
    """

    id: str
    pid: int
    host: str
    role: str
    epoch: int
    worker: int | None
    started_seconds: float
    seen_seconds: float
    requests: dict[str, int]
    minute: dict[str, int]

    @property
    def alive(self) -> bool:
        """Whether it has said something lately."""
        return self.seen_seconds <= ALIVE_SECONDS


def processes_of(context: str) -> list[Process]:
    """All that the home remembers, the oldest first. Database: the home."""
    rows = ShardProcess.objects.using(home_of(context)).annotate(age=_since("seen_at"), up=_since("started_at"))
    return [_process(row, row.age, row.up) for row in rows.order_by("started_at", "id")]


def _since(name: str) -> Any:
    return ExpressionWrapper(Now() - F(name), output_field=DurationField())


def _process(row: ShardProcess, age: timedelta, up: timedelta) -> Process:
    return Process(
        id=str(row.id),
        pid=row.pid,
        host=row.host,
        role=row.role,
        epoch=row.epoch,
        worker=row.worker,
        started_seconds=up.total_seconds(),
        seen_seconds=max(0.0, age.total_seconds()),
        requests={alias: counted[0] for alias, counted in row.requests.items()},
        minute={alias: counted[1] for alias, counted in row.requests.items()},
    )


def requests_of(processes: Iterable[Process], alias: str) -> tuple[int, int]:
    """What the living ones counted for ``alias``: since each began, and in the last minute."""
    living = [process for process in processes if process.alive]
    return sum(p.requests.get(alias, 0) for p in living), sum(p.minute.get(alias, 0) for p in living)


def behind(processes: Iterable[Process], epoch: int) -> Sequence[Process]:
    """Those who live and know an older map."""
    return [process for process in processes if process.alive and process.epoch < epoch]
