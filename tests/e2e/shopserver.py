"""A shop in processes of its own, started and killed like an operator would, on the engine that the suite runs on."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.documented import undocumented

ROOT = Path(__file__).resolve().parents[2]
CONTEXTS = ("auth", "catalog", "ordering")
STAFF = {"email": "staff@example.com", "password": "a staff password of length"}
READY_SECONDS = 30.0


class Answer:
    """Status, headers and body of one HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ShopServer:
    """One server on a free port. Databases and files last until `remove`, so it can be killed and started again."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self._databases: list[str] = []
        self._environment = {**self._engine(), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def _engine(self) -> dict[str, str]:
        if os.environ.get("SHOP_TEST_ENGINE") != "postgres":
            return {}
        server = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
        run = secrets.token_hex(4)
        urls: dict[str, str] = {}
        with psycopg.connect(server, autocommit=True) as admin:
            for context in CONTEXTS:
                names = [f"shop_e2e_{run}_{context}_{n}" for n in range(2)]
                for name in names:
                    admin.execute(f'CREATE DATABASE "{name}"')
                self._databases += names
                place = urlsplit(server)
                urls[f"{context.upper()}_DATABASES"] = ",".join(place._replace(path=f"/{n}").geturl() for n in names)
        return urls

    def environment(self, **more: str) -> dict[str, str]:
        """What a command of this shop runs with; nothing of the test run leaks in."""
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
        given = {"SHOP_HOME": str(self.home), "PORT": str(self.port), "SERVER_WORKERS": "1"}
        staff = {"DJANGO_SUPERUSER_EMAIL": STAFF["email"], "DJANGO_SUPERUSER_PASSWORD": STAFF["password"]}
        return {**kept, **given, **staff, **self._environment, **more}

    def manage(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(
            command, env=self.environment(**more), capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, **more: str) -> "ShopServer":
        """Start and wait until it is ready."""
        log = (self.home / "server.log").open("ab")
        command = [sys.executable, str(ROOT / "manage.py"), "serve", "--no-demo"]
        self._process = subprocess.Popen(
            command, env=self.environment(**more), stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        give_up = time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                break
            try:
                if self.call("GET", "/readyz").status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server did not come up:\n{self.log()[-3000:]}")

    def kill(self) -> None:
        """`kill -9` of every process of the server at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def signal(self, number: int) -> bool:
        """Send a signal to the server as a supervisor would; returns whether all it had started is gone too."""
        assert self._process is not None
        group = self._process.pid
        self._process.send_signal(number)
        self._process.wait(20)
        self._process = None
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")

    def remove(self) -> None:
        """Stop what runs and drop its databases."""
        if self._process is not None:
            self.kill()
        if self._databases:
            server = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
            with psycopg.connect(server, autocommit=True) as admin:
                for name in self._databases:
                    admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def call(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> Answer:
        """One request on a connection of its own."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            got = connection.getresponse()
            answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()
        found = undocumented(method, urlsplit(path).path, answer.status, answer.headers, answer.body)
        assert not found, found
        return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
