"""A shop whose events go over a broker: server, relay and workers, each a process of its own that a test may kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.brokers import namespace
from tests.e2e.shopserver import ROOT, ShopServer

RELAY = [sys.executable, str(ROOT / "manage.py"), "relay"]
WORKER = [sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "2", "--loglevel", "warning"]


class Beside:
    """A process beside the server, with all that it starts."""

    def __init__(self, shop: ShopServer, name: str, command: list[str]) -> None:
        self._shop, self._name, self._command = shop, name, command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Beside":
        """Begin; it is not waited for."""
        with (self._shop.home / f"{self._name}.log").open("ab") as log:
            environment = self._shop.environment()
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def kill(self) -> None:
        """`kill -9` of it and all its children at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        code, self._process = self._process.wait(30), None
        return code


class BrokeredShop:
    """Server, relay and worker over a broker, and a second worker for who starts it."""

    def __init__(self, home: Path, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.server = ShopServer(home, BROKER_URL=url, BROKER_NAMESPACE=name)
        self.relay = Beside(self.server, "relay", RELAY)
        self.worker = Beside(self.server, "worker", WORKER)
        self.other_worker = Beside(self.server, "other-worker", WORKER)

    def start(self) -> "BrokeredShop":
        """Start server, relay and one worker; returns when the server answers."""
        declared = self.server.manage("declare_queues")
        assert declared.returncode == 0, declared.stderr
        self.relay.start()
        self.worker.start()
        self.server.start()
        return self

    def remove(self) -> None:
        """End what runs, and drop its databases."""
        self.relay.kill()
        self.worker.kill()
        self.other_worker.kill()
        self.server.remove()


@contextmanager
def brokered_shop(home: Path, url: str, *, by: str = "") -> Iterator[BrokeredShop]:
    """A shop over the broker at ``url``, which it reaches ``by`` another one if told so; not yet started."""
    with namespace(url) as name:
        shop = BrokeredShop(home, by or url, name)
        try:
            yield shop
        finally:
            shop.remove()
