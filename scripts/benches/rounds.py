"""A run: databases and servers made, everything measured in interleaved rounds, everything gone again."""

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.benches import servers
from scripts.benches.calls import call
from scripts.benches.databases import Databases, databases_on
from scripts.benches.measuring import Load, Sample, hashing
from scripts.benches.pgbench import Pgbench, find_pgbench
from scripts.benches.problems import BenchError
from scripts.benches.processes import own_mb, resident_mb
from scripts.benches.servers import Server, ask_inside, started
from scripts.benches.stage import ADDRESS, Stage, lay_out, place_orders_to_read

CONNECTIONS: Final = 66
"""To PostgreSQL, at the most at once: two workers with four threads, their sweepers, the peer's pools, pgbench."""
SLOTS: Final = (
    ("empty", "shop"),
    ("product", "shop"),
    ("product", "fastapi"),
    ("product", "pgbench"),
    ("products", "shop"),
    ("order", "shop"),
    ("order", "bare"),
    ("order", "fastapi"),
    ("order", "pgbench"),
    ("place", "shop"),
    ("place", "fastapi"),
    ("place", "pgbench"),
    ("login", "shop"),
    ("login", "argon2"),
)
LIMITS: Final = "login=10/300,auth=1000000/1"
"""Counted as always, and never reached."""

type Progress = Callable[[str, int, int], None]
"""Called with what is done now, the steps that are done, and all there will be."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for."""

    postgres: str
    orders: Path
    rounds: int
    load: Load


@dataclass(kw_only=True)
class Run:
    """What a run has found. ``rounds[i]`` holds a sample of every slot; times to start are in seconds."""

    first_start: float = 0.0
    second_start: float = 0.0
    workers_own_mb: list[float] = field(default_factory=list)
    workers_resident_mb: list[float] = field(default_factory=list)
    rounds: list[list[Sample]] = field(default_factory=list)
    journeys: list[Sample] = field(default_factory=list)


def run(options: Options, progress: Progress) -> Run:
    """Measure everything.

    Raises:
        BenchError: Something that is needed is not there, or something answered what it should not.
    """
    find_pgbench()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shop-bench-")))
        databases = stack.enter_context(databases_on(options.postgres, connections=CONNECTIONS))
        return Stand(options, folder, databases, progress).everything()


class Stand:
    """The databases of a run, a folder for its files, and what is measured on them."""

    def __init__(self, options: Options, folder: Path, databases: Databases, progress: Progress) -> None:
        self._options = options
        self._folder = folder
        self._databases = databases
        self._progress = progress
        self._steps = options.rounds * (len(SLOTS) + 1)
        self._done = 0
        self._environment = {
            **databases.environment(),
            "SHOP_HOME": str(folder / "home"),
            "RATE_LIMITS": LIMITS,
        }

    def everything(self) -> Run:
        """First start, rounds, second start, journeys."""
        found = Run()
        self._progress("first start: migrating, loading the demo shop", 0, self._steps)
        with started(servers.shop("shop", self._environment, self._folder / "first.log")) as found.first_start:
            pass
        self._databases.make_plenty()
        self._side_by_side(found)
        self._databases.forget_events()
        shop = servers.shop("shop", self._environment, self._folder / "shop.log")
        with started(shop) as found.second_start:
            stage = lay_out(shop.port, self._options.orders, self._options.load.connections)
            for _ in range(self._options.rounds):
                stage.sign_in(shop.port)
                self._databases.settle()
                found.journeys.append(self._measure("journey", shop, stage))
            found.workers_own_mb = [own_mb(worker) for worker in shop.workers()]
            found.workers_resident_mb = [resident_mb(worker) for worker in shop.workers()]
        return found

    def _side_by_side(self, found: Run) -> None:
        """The rounds: the shop, the bare shop, the peer and pgbench in turn, no events delivered meanwhile.

        Delivery would go on behind what is measured next, and neither the peer nor pgbench has any.
        """
        quiet = {**self._environment, "RELAY_PAUSED": "1"}
        shop = servers.shop("shop", quiet, self._folder / "quiet.log", settings="scripts.benches.settings")
        bare = servers.shop("bare", quiet, self._folder / "bare.log", settings="scripts.benches.bare_settings")
        book = {"BENCH_BOOK": str(self._folder / "book.json"), "DJANGO_SETTINGS_MODULE": "scripts.benches.settings"}
        peer = servers.peer({**quiet, **book}, self._folder / "peer.log")
        with started(shop):
            stage = lay_out(shop.port, self._options.orders, self._options.load.connections)
            place_orders_to_read(shop.port, stage)
            _record(self._folder, quiet, stage)
            with started(peer), started(bare):
                _compare_answers(stage, shop, peer, bare)
                subjects = {each.name: each for each in (shop, peer, bare)}
                bound = Pgbench(self._databases, self._folder, self._options.load.connections)
                for number in range(self._options.rounds):
                    stage.sign_in(shop.port)
                    self._databases.settle()
                    found.rounds.append(self._round(number, subjects, stage, bound))

    def _round(self, number: int, subjects: dict[str, Server], stage: Stage, bound: Pgbench) -> list[Sample]:
        """Every slot once, every other round from the last to the first."""
        samples = []
        for case, subject in SLOTS if number % 2 == 0 else reversed(SLOTS):
            if subject in subjects:
                samples.append(self._measure(case, subjects[subject], stage))
            else:
                self._tell(f"{case}: {subject}")
                load = self._options.load
                samples.append(hashing(load) if subject == "argon2" else bound.sample(case, load.seconds))
        return samples

    def _measure(self, case: str, server: Server, stage: Stage) -> Sample:
        self._tell(f"{case}: {server.name}")
        return self._options.load.on(server, self._databases, case, stage.material())

    def _tell(self, what: str) -> None:
        self._progress(what, self._done, self._steps)
        self._done += 1


def _record(folder: Path, environment: dict[str, str], stage: Stage) -> None:
    """Have the shop's own statements written down."""
    given = {
        "baskets": stage.baskets,
        "address": ADDRESS,
        "orders": [order for who in stage.customers for order in who["orders"]],
        "products": stage.products[: len(stage.baskets)],
    }
    ask_inside("scripts.benches.record", str(folder), environment=environment, given=given)


def _compare_answers(stage: Stage, shop: Server, peer: Server, bare: Server) -> None:
    """What is measured against each other must answer the same, byte for byte."""
    who = stage.customers[0]
    for path, others in (
        (f"/api/v1/catalog/products/{stage.products[0]}", [peer]),
        (f"/api/v1/ordering/orders/{who['orders'][0]}", [peer, bare]),
    ):
        expected = call(shop.port, "GET", path, token=who["token"])
        for other in others:
            answer = call(other.port, "GET", path, token=who["token"])
            if json.loads(answer) != json.loads(expected):
                raise BenchError(f"{other.name} answers {path} with {answer!r}, the shop with {expected!r}")
