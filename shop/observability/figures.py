"""Figures that are read from the databases: depths and counts. They are the same whichever process tells them.

Rooms and contexts declare a `figure`; `/metrics` shows all of them. They are read in a thread of their own and kept for
a while, so that scrapes cost little and a database that hangs holds up no scrape.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.db import connections
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

KEPT_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 1.0
MOST_ROWS: Final = 50_000
"""What a figure counts at most in one database: a scrape must not cost more the more there is."""

type Reading = Mapping[Any, float]
"""Values by a tuple of labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One gauge.

    Attributes:
        labels: Names beside ``database``, which every figure has.
        aliases: The databases it is read from.
        read: Values by the values of ``labels``, for one database; at most `MOST_ROWS` rows are looked at.
    """

    name: str
    meaning: str
    labels: tuple[str, ...]
    aliases: Callable[[], Sequence[str]]
    read: Callable[[str], Reading]


_figures: dict[str, Figure] = {}


def figure(
    name: str,
    meaning: str,
    *,
    aliases: Callable[[], Sequence[str]],
    read: Callable[[str], Reading],
    labels: tuple[str, ...] = (),
) -> None:
    """Declare a figure."""
    _figures[name] = Figure(name=name, meaning=meaning, labels=labels, aliases=aliases, read=read)


class Board(Collector):
    """What all figures were when they were last read."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._answers: dict[str, bool] = {}
        self._read_at = float("-inf")
        self._reading = threading.Lock()

    def renew(self) -> None:
        """Have the figures read if they are old, and wait a moment for it."""
        if time.monotonic() - self._read_at < KEPT_SECONDS or not self._reading.acquire(blocking=False):
            return
        reader = threading.Thread(target=self._read_and_leave, name="figures", daemon=True)
        reader.start()
        reader.join(PATIENCE_SECONDS)

    def read(self) -> None:
        """Read every figure. A database that fails costs its own figures only. Database: all of them."""
        values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in _figures}
        answers: dict[str, bool] = {}
        for known in _figures.values():
            for alias in known.aliases():
                if answers.get(alias, True):
                    answers[alias] = _read_one(known, alias, values[known.name])
        self._values, self._answers, self._read_at = values, answers, time.monotonic()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures as Prometheus takes them."""
        up = GaugeMetricFamily(
            "shop_database_up", "1 where a database answered when its figures were read.", labels=("database",)
        )
        for alias, answered in self._answers.items():
            up.add_metric((alias,), float(answered))
        yield up
        for name, values in self._values.items():
            known = _figures[name]
            family = GaugeMetricFamily(name, known.meaning, labels=("database", *known.labels))
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family

    def _read_and_leave(self) -> None:
        try:
            self.read()
        except Exception as error:
            log.warning("figures_not_read", error=type(error).__name__)
        finally:
            connections.close_all()
            self._reading.release()


def _read_one(known: Figure, alias: str, values: dict[tuple[str, ...], float]) -> bool:
    try:
        values.update({(alias, *labels): float(value) for labels, value in known.read(alias).items()})
    except Exception as error:
        log.warning("figure_not_read", figure=known.name, database=alias, error=type(error).__name__)
        return False
    return True


board: Final = Board()
