"""`scripts/topology`: the shop in several processes, kept running until Ctrl-C."""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any, Final

from scripts.topologies.partition import INSIDE, BadPartition, Part, environment_of, groups_of, parts_of
from scripts.topologies.running import ROOT, Kept, stop_all

LOOK_SECONDS: Final = 0.2
OWN_PORTS: Final = range(10_000, 30_000)
WORKER: Final = ("-m", "celery", "-A", "config", "worker", "--concurrency", "2", "--loglevel", "warning")
RELAY: Final = ("manage.py", "relay")
DECLARE: Final = ("manage.py", "declare_queues")
WRONG: Final = 2


def main() -> None:
    """Start everything, tell where it is, and keep it running."""
    parser = argparse.ArgumentParser(prog="scripts/topology", description="The shop in several processes.")
    parser.add_argument("partition", help="contexts by process, like auth,catalog+ordering")
    parser.add_argument("--json", action="store_true", help="where everything is as one JSON object")
    parser.add_argument("--no-demo", action="store_true", help="leave the shop empty")
    given = parser.parse_args()
    try:
        groups = groups_of(given.partition)
        port = _port()
        parts = parts_of(groups, os.environ.get("HOST") or INSIDE, port, _free_ports(len(groups), but=port))
    except BadPartition as bad:
        print(f"scripts/topology: {bad}", file=sys.stderr)
        raise SystemExit(WRONG) from None
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _renew)
    kept: list[Kept] = []
    try:
        _declare_queues(parts)
        for each in _processes(parts, demo=not given.no_demo):
            kept.append(each)
        _keep(kept, parts, as_json=given.json)
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        stop_all(kept)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_renewals: list[int] = []


def _renew(number: int, _frame: FrameType | None) -> None:
    _renewals.append(number)


def _port() -> int:
    given = os.environ.get("PORT", "8000")
    if not (given.isascii() and given.isdigit() and 0 < int(given) < 1 << 16):
        raise BadPartition(f"PORT: must be a number from 1 to 65535, not {given!r}")
    return int(given)


def _declare_queues(parts: Sequence[Part]) -> None:
    """Make all queues before anybody sends: what no queue takes is sent again, some seconds later.

    Raises:
        SystemExit: The broker does not answer, or refuses; that was told.
    """
    for part in parts if os.environ.get("BROKER_URL") else ():
        if part.contexts:
            command, environment = [sys.executable, *DECLARE], environment_of(part, parts, os.environ)
            if subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
                raise SystemExit(WRONG)


def _processes(parts: Sequence[Part], *, demo: bool) -> Iterator[Kept]:
    """Begins one after the other: each server, with its worker and its relay where there is a broker."""
    for part in parts:
        environment = environment_of(part, parts, os.environ)
        yield Kept(part.name, ("manage.py", "serve", *(() if demo else ("--no-demo",))), environment)
        if part.contexts and os.environ.get("BROKER_URL"):
            yield Kept(f"worker of {part.name}", WORKER, environment)
            yield Kept(f"relay of {part.name}", RELAY, environment)


def _keep(kept: Sequence[Kept], parts: Sequence[Part], *, as_json: bool) -> None:
    told = False
    while True:
        for each in kept:
            if news := each.look():
                print(news, file=sys.stderr)
        if _renewals:
            _renewals.clear()
            renewed = [_is_renewed(each) for each in kept]
            print("all are new" if all(renewed) else "not all are new", file=sys.stderr)
        if not told and all(_is_ready(part) for part in parts):
            told = True
            _tell(kept, parts, as_json=as_json)
        time.sleep(LOOK_SECONDS)


def _is_renewed(each: Kept) -> bool:
    new = each.renew()
    print(f"{each.name} {'is a new one' if new else 'could not be begun anew: the old one goes on'}", file=sys.stderr)
    return new


def _is_ready(part: Part) -> bool:
    request = urllib.request.Request(f"{part.url}/readyz", headers={"Host": "localhost"})  # noqa: S310  ours; allowed
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310  our own server
            return bool(answer.status == 200)  # noqa: PLR2004  OK
    except (OSError, urllib.error.URLError):
        return False


def _tell(kept: Sequence[Kept], parts: Sequence[Part], *, as_json: bool) -> None:
    """Where everything is."""
    if as_json:
        found: dict[str, Any] = {
            "url": parts[-1].url,
            "pid": os.getpid(),
            "servers": {part.name: {"url": part.url, "contexts": part.contexts} for part in parts},
            "processes": {each.name: each.process.pid for each in kept},
        }
        print(json.dumps(found), flush=True)
        return
    for part in parts:
        print(f"{part.name:28} {part.url}  {'' if part.contexts else 'for clients'}", flush=True)
        if part.contexts:
            print(f"{'':28} {part.url}/admin/", flush=True)
    print("all are ready (Ctrl-C stops)", flush=True)


def _free_ports(number: int, *, but: int) -> list[int]:
    """Ports that nobody listens on, held until all are found: two servers at one would take each other's requests.

    They are below those that the kernel gives to connections, one of which might take it before its server comes.
    """
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < number:
            port = secrets.choice([each for each in OWN_PORTS if each != but])
            with suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    return ports


if __name__ == "__main__":
    main()
