"""The servers that are measured: the shop, the shop without its middlewares, and the peer. Started here and stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from scripts.benches.problems import BenchError
from scripts.benches.processes import children_of, command_of, cpu_seconds

ROOT: Final = Path(__file__).resolve().parents[2]
WORKERS: Final = 2
THREADS: Final = 4
READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0


class Server:
    """A server on a port of its own."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path, *, ready: str) -> None:
        self.name = name
        self.port = free_port()
        self._command = [part.replace("PORT", str(self.port)) for part in command]
        self._environment = environment_of({**environment, "PORT": str(self.port)})
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, more: dict[str, str]) -> None:
        """Have it know more when it starts."""
        self._environment |= more

    def start(self) -> float:
        """Start it; returns the seconds until it was ready.

        Raises:
            BenchError: It did not come up; the end of what it said is told.
        """
        started = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        while time.perf_counter() - started < READY_SECONDS and self._process.poll() is None:
            if self._answers():
                return time.perf_counter() - started
            time.sleep(0.02)
        said = self._log.read_text(errors="replace")[-1500:]
        self.stop()
        raise BenchError(f"{self.name} did not come up:\n{said}")

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self._ready)
            return connection.getresponse().status == 200  # noqa: PLR2004  OK
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop it and all it has started."""
        if self._process is None:
            return
        group = self._process.pid
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(group, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""
        return cpu_seconds(self._pids())

    def workers(self) -> list[int]:
        """Its workers' process IDs."""
        return [pid for pid in self._pids()[1:] if "resource_tracker" not in command_of(pid)]

    def _pids(self) -> list[int]:
        if self._process is None:
            return []
        return [self._process.pid, *children_of(self._process.pid)]


def shop(
    name: str,
    environment: dict[str, str],
    log: Path,
    *,
    settings: str = "config.settings",
    workers: int = WORKERS,
) -> Server:
    """The shop as `manage.py serve` runs it, under ``settings``."""
    server = {"SERVER_WORKERS": str(workers), "SERVER_THREADS": str(THREADS), "DJANGO_SETTINGS_MODULE": settings}
    command = [sys.executable, "manage.py", "serve"]
    return Server(name, command, {**environment, **server}, log, ready="/readyz")


def peer(environment: dict[str, str], log: Path) -> Server:
    """FastAPI and asyncpg, on the same server program."""
    command = [sys.executable, "-m", "granian", "scripts.benches.peer:app", "--interface", "asgi", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", "PORT", "--workers", str(WORKERS), "--log-level", "error"]
    return Server("fastapi", command, environment, log, ready="/readyz")


@contextmanager
def started(server: Server) -> Iterator[float]:
    """Running, and stopped at the end; the seconds until it was ready."""
    seconds = server.start()
    try:
        yield seconds
    finally:
        server.stop()


def ask_inside(module: str, *arguments: str, environment: dict[str, str], given: Any) -> str:
    """What a process inside the shop prints that runs ``module`` and is given JSON.

    Raises:
        BenchError: It failed; the end of what it said is told.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment_of(environment),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{module} failed: {done.stderr[-1500:]}")
    return done.stdout


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(given: dict[str, str]) -> dict[str, str]:
    """``given`` and what every program needs; no setting of the caller's gets in: each run measures the same shop."""
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}} | given
