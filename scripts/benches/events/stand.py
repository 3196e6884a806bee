"""A run: one set of databases, every broker in turn, in each round; all gone again at the end."""

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from scripts.benches.databases import Databases, databases_on
from scripts.benches.measuring import heard, say
from scripts.benches.problems import BenchError
from scripts.benches.servers import ROOT, Server, ask_inside, environment_of, started

CONNECTIONS: Final = 60
KINDS: Final = {"amqp": "RabbitMQ", "amqps": "RabbitMQ", "redis": "Redis", "rediss": "Redis"}
"""Brokers by the schemes of their URLs, which the shop has to know as well."""
INSIDE: Final = f"{__package__}.inside"
SETTINGS: Final = f"{__package__}.settings"
RATE: Final = 50
UNCOUNTED: Final = 25
WARM: Final = 500

type Progress = Callable[[str, int, int], None]
"""Called with what is done now, the steps that are done, and all there will be."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for.

    Attributes:
        events: How many are handed over and handled at once.
        trickled: How many are published one by one, `RATE` a second.
        workers: Processes that handle.
    """

    postgres: str
    brokers: Sequence[str]
    events: int
    trickled: int
    workers: int
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What one measurement gave: events per second, and the CPU time of each in µs.

    Attributes:
        relay_cpu_us: Of the process that hands over.
        workers_cpu_us: Of the processes that handle.
        database_cpu_us: Of PostgreSQL's that work for these; None where it is on another machine.
    """

    rate: float
    relay_cpu_us: float
    workers_cpu_us: float
    database_cpu_us: float | None


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round at one broker: the outbox handed over alone, and handled; ms from commit to commit at `RATE`."""

    relay: Flow
    handled: Flow
    with_row: Flow
    latencies: list[float] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AtBroker:
    """What was found over one broker, where all names began with ``namespace``."""

    namespace: str
    rounds: list[Round] = field(default_factory=list)


type Found = dict[str, AtBroker]


def run(options: Options, progress: Progress) -> Found:
    """Measure everything.

    Raises:
        BenchError: Something that is needed is not there, or events were lost on the way.
    """
    steps = options.rounds * len(options.brokers)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shop-bench-")))
        databases = stack.enter_context(databases_on(options.postgres, connections=CONNECTIONS))
        _migrate({**databases.environment(), "SHOP_HOME": str(folder)})
        stands = [stack.enter_context(_stand(options, folder, databases, url)) for url in options.brokers]
        for number in range(options.rounds):
            for place, stand in enumerate(stands if number % 2 == 0 else reversed(stands)):
                done = len(stands) * number + place
                stand.round(partial(_told, progress, done, steps))
    return {stand.name: stand.found for stand in stands}


def _told(progress: Progress, done: int, steps: int, what: str) -> None:
    progress(what, done, steps)


class Inside:
    """The process inside the shop that publishes and relays."""

    def __init__(self, broker: str, process: subprocess.Popen[str]) -> None:
        self.broker = broker
        self._process = process

    def ask(self, do: str, **given: Any) -> Any:
        """What it answers. Raises `BenchError` where it failed."""
        say(self._process, json.dumps({"do": do, **given}))
        return json.loads(heard(self._process, f"{self.broker}, as --broker names it"))


class Workers(Server):
    """`celery -A config worker`. It takes no requests: that it is up is seen when it has handled something."""

    def _answers(self) -> bool:
        return True


class Stand:
    """The shop over one broker."""

    def __init__(
        self, options: Options, databases: Databases, found: AtBroker, inside: Inside, workers: Workers
    ) -> None:
        self.name = inside.broker
        self.found = found
        self._options = options
        self._databases = databases
        self._inside = inside
        self._workers = workers

    def round(self, tell: Callable[[str], None]) -> None:
        """Everything once."""
        tell(f"{self.name}: the outbox handed over")
        relay = self._flow("hand_over", "nothing")
        with started(self._workers):
            tell(f"{self.name}: workers start")
            self._inside.ask("fill", events=WARM, asks="row")
            self._inside.ask("deliver", events=WARM)
            tell(f"{self.name}: handled")
            handled, with_row = self._flow("deliver", "nothing"), self._flow("deliver", "row")
            tell(f"{self.name}: {RATE} a second")
            given = {"events": self._options.trickled, "rate": RATE, "uncounted": UNCOUNTED}
            latencies = self._inside.ask("trickle", **given)
        self.found.rounds.append(Round(relay=relay, handled=handled, with_row=with_row, latencies=latencies))

    def _flow(self, do: str, asks: str) -> Flow:
        events = self._options.events
        self._inside.ask("fill", events=events, asks=asks)
        self._databases.settle()
        workers, database = self._workers.cpu_seconds(), self._databases.cpu_seconds()
        took = self._inside.ask(do, events=events)
        workers_after, database_after = self._workers.cpu_seconds(), self._databases.cpu_seconds()
        known = database is not None and database_after is not None
        return Flow(
            rate=events / took["seconds"],
            relay_cpu_us=took["cpu_seconds"] / events * 1e6,
            workers_cpu_us=(workers_after - workers) / events * 1e6,
            database_cpu_us=((database_after or 0.0) - (database or 0.0)) / events * 1e6 if known else None,
        )


@contextmanager
def _stand(options: Options, folder: Path, databases: Databases, url: str) -> Iterator[Stand]:
    name, found = KINDS[urlsplit(url).scheme], AtBroker(namespace=f"bench-{secrets.token_hex(6)}")
    environment = {
        **databases.environment(),
        "SHOP_HOME": str(folder),
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "BROKER_URL": url,
        "BROKER_NAMESPACE": found.namespace,
        "BENCH_NOTES": str(folder / f"notes of {name}"),
    }
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "--loglevel", "warning"]
    command += ["--concurrency", str(options.workers)]
    workers = Workers(f"workers of {name}", command, environment, folder / f"workers of {name}.log", ready="")
    with _inside(name, environment) as inside:
        inside.ask("prepare")
        try:
            yield Stand(options, databases, found, inside, workers)
        finally:
            ask_inside(INSIDE, environment=environment, given={"do": "remove"})


@contextmanager
def _inside(name: str, environment: dict[str, str]) -> Iterator[Inside]:
    with (
        Path(environment["SHOP_HOME"], f"relay of {name}.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", INSIDE],
            cwd=ROOT,
            env=environment_of(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        yield Inside(name, process)


def _migrate(environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate_contexts"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"migrate_contexts failed: {done.stderr[-1500:]}")
