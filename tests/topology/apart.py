"""A shop whose contexts live in several processes, each with its own databases; stories see one shop."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.brokers import namespace
from tests.e2e.brokered import RELAY, WORKER, Beside
from tests.e2e.shopserver import Answer, ShopServer, free_port
from tests.topology.between import Between


class Apart:
    """Processes by the contexts they host: ``auth,catalog+ordering`` are two.

    ``urls`` are where contexts are said to live, if that is not where they do.

    Servers share `SHOP_HOME`, and with it what is secret; each knows the databases of its own contexts only.
    """

    def __init__(self, home: Path, partition: str, broker: str, name: str) -> None:
        self.whole = ShopServer(home, BROKER_URL=broker, BROKER_NAMESPACE=name)
        self.parts = {group: self._part(group) for group in partition.split(",")}
        self.beside: list[Beside] = []
        self.urls: dict[str, str] = {}
        self.fault: Between

    def _part(self, group: str) -> ShopServer:
        part = copy.copy(self.whole)
        part.port = free_port()
        part._databases = []
        return part

    def start(self) -> "Apart":
        """Start every process; returns when all are ready."""
        for group, part in self.parts.items():
            part._environment = self._environment(group)
            if self.whole._environment.get("BROKER_URL"):
                declared = part.manage("declare_queues")
                assert declared.returncode == 0, declared.stderr
                self.beside += [Beside(part, f"relay-{group}", RELAY), Beside(part, f"worker-{group}", WORKER)]
        for part in self.parts.values():
            part.start()
        for process in self.beside:
            process.start()
        return self

    def _environment(self, group: str) -> dict[str, str]:
        hosted = group.split("+")
        kept = {k: v for k, v in self.whole._environment.items() if not k.endswith("_DATABASES")}
        own = {f"{context.upper()}_DATABASES": ",".join(self._databases(context)) for context in hosted}
        urls = {
            f"{context.upper()}_URL": self.urls.get(context, part.url)
            for other, part in self.parts.items()
            for context in other.split("+")
            if context not in hosted
        }
        return {**kept, **own, **urls, "CONTEXTS": ",".join(hosted)}

    def _databases(self, context: str) -> list[str]:
        return [self.whole.database(alias) for alias in self.whole.aliases(context)]

    def part(self, context: str) -> ShopServer:
        """The server that hosts a context."""
        return next(part for group, part in self.parts.items() if context in group.split("+"))

    def call(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> Answer:
        """One request, to whoever hosts the context of its path."""
        return self.part(path.split("/")[3]).call(method, path, body, token, key)

    def remove(self) -> None:
        """End every process, and drop the databases."""
        for process in self.beside:
            process.kill()
        for part in self.parts.values():
            if part._process is not None:
                part.kill()
        self.whole.remove()


@contextmanager
def apart(home: Path, partition: str, broker: str) -> Iterator[Apart]:
    """Such a shop, not yet started; without a broker events go over HTTP."""
    with namespace(broker) if broker else nullcontext("") as name:
        shop = Apart(home, partition, broker, name)
        try:
            yield shop
        finally:
            shop.remove()
