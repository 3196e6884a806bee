"""A shop in processes of its own, started and killed like an operator would, on the engine that the suite runs on."""

import atexit
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from config.hosting import KNOWN_CONTEXTS
from config.testing import SHARDS as USUAL
from tests.documented import undocumented
from tests.shards import SHARDS

ROOT = Path(__file__).resolve().parents[2]
STAFF = {"email": "staff@example.com", "password": "a staff password of length"}
READY_SECONDS = 60.0


class Answer:
    """Status, headers and body of one HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ShopServer:
    """One server on a free port. Databases and files last until `remove`, so it can be killed and started again.

    Its databases are copies of some that were migrated once; ``migrated=False`` leaves that to the server. Each context
    has ``shards`` of them; as many as it has unless told are not told.
    """

    def __init__(self, home: Path, *, migrated: bool = True, shards: int = SHARDS, **environment: str) -> None:
        self.home = home
        self.shards = shards
        self.port = free_port()
        self._databases: list[str] = []
        self._environment = {**self._engine(migrated_databases(shards) if migrated else None), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def _engine(self, template: "ShopServer | None") -> dict[str, str]:
        if os.environ.get("SHOP_TEST_ENGINE") != "postgres":
            for file in template.home.glob("*_*.sqlite3") if template else ():
                shutil.copy(file, self.home)
            told = KNOWN_CONTEXTS if self.shards != USUAL else ()
            return {f"{context.upper()}_DATABASES": self._files(context) for context in told}
        run = secrets.token_hex(4)
        urls: dict[str, str] = {}
        with psycopg.connect(postgres(), autocommit=True) as admin:
            for context in KNOWN_CONTEXTS:
                names = [f"shop_e2e_{run}_{context}_{n}" for n in range(self.shards)]
                for name in names:
                    copied = f' TEMPLATE "{template._databases[len(self._databases)]}"' if template else ""
                    admin.execute(f'CREATE DATABASE "{name}"{copied}')
                    self._databases.append(name)
                place = urlsplit(postgres())
                urls[f"{context.upper()}_DATABASES"] = ",".join(place._replace(path=f"/{n}").geturl() for n in names)
        return urls

    def _files(self, context: str) -> str:
        return ",".join(f"sqlite:///{context}_{number}.sqlite3" for number in range(self.shards))

    def aliases(self, *contexts: str) -> list[str]:
        """Names of all its databases, or of those of ``contexts``."""
        return [f"{context}_{number}" for context in contexts or KNOWN_CONTEXTS for number in range(self.shards)]

    def database(self, alias: str) -> str:
        """URL of one of its databases."""
        context, _, number = alias.rpartition("_")
        urls = self._environment.get(f"{context.upper()}_DATABASES") or self._files(context)
        return urls.split(",")[int(number)]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def reach(self, alias: str, *, port: int) -> None:
        """Have one of its databases behind another port of this machine."""
        name = f"{alias.rpartition('_')[0].upper()}_DATABASES"
        place = urlsplit(self.database(alias))
        there = place._replace(netloc=place.netloc.replace(f":{place.port}", f":{port}")).geturl()
        self._environment[name] = self._environment[name].replace(self.database(alias), there)

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

    def workers(self) -> list[int]:
        """Process IDs of the server's workers, from the oldest on."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(number) for number in children.read_text().split()]

    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")

    def remove(self) -> None:
        """Stop what runs and drop its databases."""
        if self._process is not None:
            self.kill()
        if self._databases:
            with psycopg.connect(postgres(), autocommit=True) as admin:
                for name in self._databases:
                    admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def figure(self, name: str, **labels: str) -> float | None:
        """The sum of the series of `/metrics` whose labels include these; None where there is none."""
        page = self.call("GET", "/metrics")
        assert page.status == 200
        found = [
            float(line.rpartition(" ")[2])
            for line in page.body.decode().splitlines()
            if re.match(rf"{name}[{{ ]", line) and all(f'{key}="{wanted}"' in line for key, wanted in labels.items())
        ]
        return sum(found) if found else None

    def call(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> Answer:
        """One request on a connection of its own."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.connect()
            with suppress(BrokenPipeError, ConnectionResetError):  # a long body may be refused before all of it is sent
                connection.request(method, path, None if body is None else json.dumps(body), headers)
            got = connection.getresponse()
            answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()
        found = undocumented(method, urlsplit(path).path, answer.status, answer.headers, answer.body)
        assert not found, found
        return answer


@cache
def migrated_databases(shards: int) -> ShopServer:
    """What servers of this run with so many shards begin with; made once, and gone with the run."""
    place = Path(tempfile.mkdtemp(prefix="shop-e2e-"))
    made = ShopServer(place, migrated=False, shards=shards)
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    atexit.register(made.remove)
    done = made.manage("migrate_contexts")
    assert done.returncode == 0, done.stderr
    return made


def postgres() -> str:
    """The server on which databases are made."""
    return os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")


def free_port() -> int:
    """A port that nobody listens on, below those the kernel gives to connections: none of them takes it meanwhile."""
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
