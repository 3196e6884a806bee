"""The bound: the shop's own statements, prepared, from PostgreSQL's own load generator, with no Python between."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from scripts.benches.databases import Databases
from scripts.benches.measuring import Sample
from scripts.benches.problems import BenchError

FOLDERS: Final = "/usr/lib/postgresql"
TPS: Final = re.compile(r"^tps = ([0-9.]+)", re.M)
ONE_PLAN: Final = "-c plan_cache_mode=force_generic_plan"  # as the shop's own sessions have it
CONTEXT: Final = {"product": "catalog", "order": "ordering"}
TICKS_PER_RUN: Final = 10_000_000
"""How far the IDs of two runs lie from each other: more than one run can use up."""


def find_pgbench() -> str:
    """The program, on PATH or in the newest of Debian's folders.

    Raises:
        BenchError: It is in neither.
    """
    inside = sorted(Path(FOLDERS).glob("*/bin/pgbench"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("pgbench") or (str(inside[-1]) if inside else "")
    if not found:
        raise BenchError(f"pgbench is neither on PATH nor in {FOLDERS}/*/bin: install PostgreSQL's client programs")
    return found


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """A database's URL without its password, and that for the environment: everybody may read command lines."""
    parts = urlsplit(url)
    if parts.password is None:
        return url, {}
    user, _, place = parts.netloc.rpartition("@")
    shown = parts._replace(netloc=f"{user.partition(':')[0]}@{place}")
    return shown.geturl(), {"PGPASSWORD": unquote(parts.password)}


class Pgbench:
    """Runs the scripts that `record` has written: several of a name, of which chance takes one each time."""

    def __init__(self, databases: Databases, folder: Path, connections: int) -> None:
        self._program = find_pgbench()
        self._databases = databases
        self._folder = folder
        self._connections = connections
        self._runs = 0

    def rate(self, name: str, context: str, seconds: float) -> float:
        """Transactions per second of the scripts of ``name``.

        Raises:
            BenchError: Some failed.
        """
        self._runs += 1
        command = [self._program, "--no-vacuum", "--protocol=prepared", f"--client={self._connections}", "--jobs=1"]
        command += [f"--time={max(1, round(seconds))}", "-D", "n=0", "-D", f"base={self._runs * TICKS_PER_RUN}"]
        command += [f"--file={script}" for script in sorted(self._folder.glob(f"{name}-*.sql"))]
        place, password = without_password(self._databases.url(context))
        done = subprocess.run(
            [*command, place],
            env={**os.environ, **password, "PGOPTIONS": ONE_PLAN},
            capture_output=True,
            text=True,
            check=False,
        )
        found = TPS.search(done.stdout)
        if done.returncode or not found or "ERROR" in done.stderr:
            raise BenchError(f"pgbench could not run {name}: {done.stderr.strip()[-600:]}")
        return float(found[1])

    def sample(self, case: str, seconds: float) -> Sample:
        """The rate of ``case``; orders are placed in both databases one after the other."""
        if case == "place":
            hold, write = self.rate("hold", "catalog", seconds / 2), self.rate("write", "ordering", seconds / 2)
            return Sample(case=case, subject="pgbench", rate=1 / (1 / hold + 1 / write))
        return Sample(case=case, subject="pgbench", rate=self.rate(case, CONTEXT[case], seconds))
