"""A run: databases for each number of shards; in each round the shop on each of them."""

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from scripts.benches import servers
from scripts.benches.calls import call
from scripts.benches.databases import Databases, databases_on
from scripts.benches.measuring import Load, Sample
from scripts.benches.servers import ask_inside, started
from scripts.benches.stage import ADDRESS, BASKETS, LINES, ORDERS_EACH, invoices, variants_of

OF_SERVER: Final = 60
"""Connections that the one server has which runs, at the most; `OF_OTHERS`: those that ask beside it."""
OF_OTHERS: Final = 20
EACH: Final = 8
"""More than that a database does not need: of four threads, and of what is done beside requests."""
WARM_SECONDS: Final = 4.0
"""Until the jobs have met every database once: opening a connection costs more than a minute of rest."""
REST_SECONDS: Final = 2.0
CASES: Final = ("order", "place", "spread")
"""An order is read, or placed with its lines on one shard; `spread` are real orders' baskets."""
TIMES: Final = ("across", "across_work", "protection_us")
"""What is told anew in each round, and kept."""

type Progress = Callable[[str, int, int], None]
"""Called with what is done now, the steps that are done, and all there will be."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for."""

    postgres: str
    orders: Path
    counts: Sequence[int]
    rounds: int
    load: Load


@dataclass(kw_only=True)
class OnShards:
    """What was found with one number of shards.

    Attributes:
        told: What a process inside the shop has told, see `scripts.benches.shards.inside`.
        rounds: A sample of every case, in each round.
        at_rest: CPU seconds, servers and PostgreSQL, per second in which nobody asks for anything; one for each round.
    """

    told: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Sample]] = field(default_factory=list)
    at_rest: list[float] = field(default_factory=list)


def run(options: Options, progress: Progress) -> dict[int, OnShards]:
    """Measure everything.

    Raises:
        BenchError: Something that is needed is not there, or something answered what it should not.
    """
    steps = len(options.counts) * (1 + options.rounds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shop-bench-")))
        stands = []
        for done, count in enumerate(options.counts):
            progress(f"{count} shards: migrating, loading the demo shop", done, steps)
            shards = {"catalog": count, "ordering": count}
            wanted = min(OF_SERVER, EACH * (1 + 2 * count)) + OF_OTHERS
            databases = stack.enter_context(databases_on(options.postgres, connections=wanted, shards=shards))
            stands.append(Stand(options, folder / str(count), databases, count))
        for number in range(options.rounds):
            for place, stand in enumerate(stands if number % 2 == 0 else reversed(stands)):
                progress(f"{stand.count} shards", len(stands) * (1 + number) + place, steps)
                stand.round()
    return {stand.count: stand.found for stand in stands}


class Stand:
    """The shop on so many shards."""

    def __init__(self, options: Options, folder: Path, databases: Databases, count: int) -> None:
        self.count = count
        self.found = OnShards()
        self._options = options
        self._databases = databases
        self._environment = {
            **databases.environment(),
            "SHOP_HOME": str(folder),
            "RELAY_PAUSED": "1",
            "DATABASE_CONNECTIONS": str(OF_SERVER),
        }
        folder.mkdir()
        self._server = servers.shop(f"the shop on {count}", self._environment, folder / "log", workers=1)
        with started(self._server):
            port = self._server.port
            databases.make_plenty()
            sold = {variant["sku"]: variant["id"] for variant in variants_of(port)}
            self._baskets = [
                [_line(sold[sku]) for sku in invoice] for invoice in islice(invoices(options.orders, sold), BASKETS)
            ]
            self._variants = sorted(sold.values())

    def round(self) -> None:
        """Every case once."""
        told = self._inside()
        before = self.found.told
        told["protection_us"] = [told["protection_us"]]
        self.found.told = told | {name: before.get(name, []) + told[name] for name in TIMES}
        material: dict[str, Any] = {
            "customers": [{"token": token, "orders": []} for token in told["tokens"]],
            "baskets": self._together(told["aliases"]),
            "address": ADDRESS,
        }
        with started(self._server):
            port = self._server.port
            for number, who in enumerate(material["customers"]):
                who["orders"] = list(_placed(port, who["token"], material["baskets"][number : number + ORDERS_EACH]))
            self._databases.settle()
            self.found.at_rest.append(self._at_rest())
            samples = {}
            for case in CASES if len(self.found.rounds) % 2 == 0 else reversed(CASES):
                baskets = {"baskets": self._baskets} if case == "spread" else {}
                asked = "place" if case == "spread" else case
                samples[case] = self._options.load.on(self._server, self._databases, asked, material | baskets)
            self.found.rounds.append(samples)

    def _together(self, aliases: dict[str, str]) -> list[list[dict[str, Any]]]:
        """Baskets with all their lines on one shard, in turn on each."""
        by_alias: dict[str, list[str]] = {}
        for variant, alias in aliases.items():
            by_alias.setdefault(alias, []).append(variant)
        piles = [variants for _, variants in sorted(by_alias.items()) if len(variants) >= LINES]
        return [
            [_line(pile[(turn * LINES + place) % len(pile)]) for place in range(LINES)]
            for turn, pile in ((number // len(piles), piles[number % len(piles)]) for number in range(BASKETS))
        ]

    def _at_rest(self) -> float:
        time.sleep(WARM_SECONDS)
        before = self._server.cpu_seconds(), self._databases.cpu_seconds() or 0.0
        time.sleep(REST_SECONDS)
        after = self._server.cpu_seconds(), self._databases.cpu_seconds() or 0.0
        return (sum(after) - sum(before)) / REST_SECONDS

    def _inside(self) -> dict[str, Any]:
        times = max(3, round(self._options.load.seconds * 10))
        given = {"variants": self._variants, "address": ADDRESS}
        said = ask_inside(f"{__package__}.inside", str(times), environment=self._environment, given=given)
        told: dict[str, Any] = json.loads(said.splitlines()[-1])
        return told


def _line(variant: str) -> dict[str, Any]:
    return {"variant_id": variant, "quantity": 1}


def _placed(port: int, token: str, baskets: Sequence[Any]) -> Iterator[str]:
    for basket in baskets:
        body = {"lines": basket, "shipping_address": ADDRESS}
        answer = call(port, "POST", "/api/v1/ordering/orders", body, token=token, key=secrets.token_hex(12))
        yield json.loads(answer)["id"]
