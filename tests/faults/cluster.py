"""A PostgreSQL server of a test's own, with processes that it may kill and stop.

with Cluster(user="postgres") as cluster:
    ...             # it answers on cluster.port, and lets everybody in
    cluster.kill()  # -9, every process of it: what its disk has is all that is left
    cluster.start()
    cluster.stop()  # none of its processes runs: its kernel takes what is sent, nobody reads it
    cluster.go_on()
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.e2e.shopserver import free_port

OTHER_USER = "postgres"
"""PostgreSQL refuses to be run by root."""
STARTS_WITHIN_SECONDS = 60.0
ENDS_WITHIN_SECONDS = 20.0


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`."""
    named = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    if asked := shutil.which("pg_config"):
        told = subprocess.run([asked, "--bindir"], capture_output=True, text=True, check=False)
        named.append(Path(told.stdout.strip()))
    return next((folder for folder in named if (folder / "initdb").exists()), None)


def why_none_can_be_made() -> str | None:
    """What is missing on this machine for a cluster, if so."""
    if programs() is None:
        return "neither PATH nor pg_config leads to PostgreSQL's initdb"
    if os.geteuid() == 0 and OTHER_USER not in {user.pw_name for user in pwd.getpwall()}:
        return f"PostgreSQL refuses to be run by root, and there is no user {OTHER_USER}"
    return None


class Cluster:
    """The server, running from the beginning. Whatever was done to it, `remove` ends it and takes its files along."""

    def __init__(self, *, user: str) -> None:
        found = programs()
        assert found is not None, "PostgreSQL's own programs are not here"
        self.port = free_port()
        self.url = f"postgres://{user}@127.0.0.1:{self.port}"
        self._programs = found
        self._folder = Path(tempfile.mkdtemp(prefix="shop-cluster-"))
        self._rights: dict[str, Any] = {"cwd": self._folder}
        self._postmaster: subprocess.Popen[bytes] | None = None
        try:
            if os.geteuid() == 0:
                shutil.chown(self._folder, OTHER_USER)
                self._rights |= {"user": OTHER_USER, "group": OTHER_USER, "extra_groups": []}
            how = ["-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            made = [str(found / "initdb"), "-D", str(self._folder / "data"), *how]
            subprocess.run(made, check=True, capture_output=True, **self._rights)
            self.start()
        except BaseException:
            self.remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start it, and wait until it has recovered and answers."""
        where = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        told = [f"--{name}={value}" for name, value in where.items()]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *told]
        with (self._folder / "log").open("ab") as log:
            self._postmaster = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **self._rights
            )
        give_up = time.monotonic() + STARTS_WITHIN_SECONDS
        while self._postmaster.poll() is None and time.monotonic() < give_up:
            with suppress(psycopg.OperationalError):
                psycopg.connect(f"{self.url}/postgres", connect_timeout=5).close()
                return
            time.sleep(0.02)
        raise AssertionError(f"the cluster did not come up:\n{(self._folder / 'log').read_text()[-2000:]}")

    def make(self, database: str) -> None:
        """A new, empty database."""
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{database}"')

    def kill(self) -> None:
        """`kill -9` of every process; returns when none is left."""
        assert self._postmaster is not None
        self._send(self._postmaster.pid, signal.SIGSTOP)  # from now on it begins no more
        processes = self._processes()
        for process in processes:
            self._send(process, signal.SIGKILL)
        self._postmaster.wait(ENDS_WITHIN_SECONDS)
        give_up = time.monotonic() + ENDS_WITHIN_SECONDS
        while any(map(_lives, processes)):
            assert time.monotonic() < give_up, "some process of the cluster outlives a kill"
            time.sleep(0.01)

    def stop(self) -> None:
        """SIGSTOP for every process, the postmaster first."""
        assert self._postmaster is not None
        self._send(self._postmaster.pid, signal.SIGSTOP)
        for process in self._processes():
            self._send(process, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT for every process."""
        for process in self._processes():
            self._send(process, signal.SIGCONT)

    def remove(self) -> None:
        """End it at once."""
        if self._postmaster is not None and self._postmaster.poll() is None:
            self.go_on()
            self._send(self._postmaster.pid, signal.SIGQUIT)
            try:
                self._postmaster.wait(ENDS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _processes(self) -> list[int]:
        """The postmaster and all that it has begun."""
        assert self._postmaster is not None
        first = self._postmaster.pid
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def _send(self, process: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # a backend may end meanwhile
            os.kill(process, number)


def _lives(process: int) -> bool:
    """Whether it does anything still; what is dead, and not yet asked after, holds nothing any more."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
