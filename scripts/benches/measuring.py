"""One measurement: a case on a subject for some seconds. `rounds` puts them side by side."""

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Final

from scripts.benches.databases import Databases
from scripts.benches.problems import BenchError
from scripts.benches.servers import ROOT, Server

HUNDREDTHS: Final = 100


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one measurement gave.

    Attributes:
        rate: Requests, hashes or transactions per second.
        p50_ms: Median time of a request; None where single ones are not timed. So with ``p99_ms``.
        server_cpu_us: CPU time of the server's processes per request.
        database_cpu_us: CPU time per request of PostgreSQL's processes that work for it; None where that is elsewhere.
    """

    case: str
    subject: str
    rate: float
    requests: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    server_cpu_us: float | None = None
    database_cpu_us: float | None = None


@dataclass(frozen=True, kw_only=True)
class Load:
    """How hard to press."""

    seconds: float
    connections: int

    def on(self, server: Server, databases: Databases, case: str, material: dict[str, Any]) -> Sample:
        """Press ``server`` with ``case``.

        Raises:
            BenchError: An answer was wrong, or none came.
        """
        plan = {
            "case": case,
            "port": server.port,
            "connections": self.connections,
            "seconds": self.seconds,
            "material": material,
        }
        with subprocess.Popen(
            [sys.executable, "-m", "scripts.benches.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            say(process, json.dumps(plan))
            heard(process, server.name)
            server_before, database_before = server.cpu_seconds(), databases.cpu_seconds()
            say(process, "go")
            tally = json.loads(heard(process, server.name))
            server_after, database_after = server.cpu_seconds(), databases.cpu_seconds()
        times, requests = tally["milliseconds"], tally["requests"]
        percentiles = quantiles(times, n=HUNDREDTHS)
        return Sample(
            case=case,
            subject=server.name,
            rate=requests / tally["seconds"],
            requests=requests,
            p50_ms=percentiles[HUNDREDTHS // 2 - 1],
            p99_ms=percentiles[-1],
            server_cpu_us=(server_after - server_before) / requests * 1e6,
            database_cpu_us=_each(database_before, database_after, requests),
        )


def _each(before: float | None, after: float | None, requests: int) -> float | None:
    """Microseconds for each request, where both times are known."""
    return None if before is None or after is None else (after - before) / requests * 1e6


def hashing(load: Load) -> Sample:
    """The bare rate of password hashes."""
    command = [sys.executable, "-m", "scripts.benches.hashing", str(load.seconds), str(load.connections)]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return Sample(
        case="login",
        subject="argon2",
        rate=found["hashes"] / found["seconds"],
        requests=found["hashes"],
        server_cpu_us=found["cpu_seconds"] / found["hashes"] * 1e6,
        database_cpu_us=0.0,
    )


def say(process: subprocess.Popen[str], line: str) -> None:
    """Give a process something to do."""
    assert process.stdin is not None  # noqa: S101  a pipe, as asked for
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str], who: str) -> str:
    """The line that a process answers with.

    Raises:
        BenchError: It has failed, or ended.
    """
    assert process.stdout is not None  # noqa: S101  a pipe, as asked for
    line = process.stdout.readline()
    if not line:
        raise BenchError(f"the load on {who} ended by itself")
    if line.startswith('{"failed"'):
        raise BenchError(f"{who}: {json.loads(line)['failed']}")
    return line
