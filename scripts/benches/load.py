"""The load: a process of its own that keeps some connections busy and looks at every answer.

``python -m scripts.benches.load`` reads a `Plan` as JSON from its standard input, says ``ready`` once it is warm,
starts at the next line it reads, and prints a `Tally` as JSON. One thread, raw sockets: it must be cheaper than what it
measures.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.benches import cases

type Shopper = Generator[bytes, tuple[int, bytes]]
"""Yields requests and is sent status and body of each answer; raises `cases.WrongAnswer` where one is not right."""

WARM_UP_SECONDS = 0.3
PATIENCE_SECONDS = 30.0
END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do.

    Attributes:
        case: Name of a function of `scripts.benches.cases`.
        seconds: How long to begin requests.
        material: What the case needs: tokens, IDs, baskets.
    """

    case: str
    port: int
    connections: int
    seconds: float
    material: dict[str, Any]


@dataclass(kw_only=True)
class Tally:
    """What came of it; ``milliseconds`` holds the time of each request."""

    requests: int = 0
    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)


class Connection:
    """One keep-alive connection and the shopper who uses it."""

    def __init__(self, port: int, shopper: Shopper) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._shopper = shopper
        self._request = next(shopper)
        self._received = b""
        self._sent_at = 0.0

    def send(self) -> None:
        """Send the next request."""
        self._sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self, tally: Tally) -> bool:
        """Take what has come; whether that was the end of the answer, which is then entered."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self._received += piece
        head = self._received.find(END)
        if head < 0:
            return False
        start = self._received.lower().find(LENGTH, 0, head + 2)
        length = int(self._received[start + len(LENGTH) : self._received.find(b"\r", start + 2)]) if start > 0 else 0
        if len(self._received) < head + len(END) + length:
            return False
        tally.requests += 1
        tally.milliseconds.append((time.perf_counter() - self._sent_at) * 1000)
        status, body = int(self._received[9:12]), self._received[head + len(END) :]
        self._received = b""
        try:
            self._request = self._shopper.send((status, body))
        except cases.WrongAnswer as error:
            tally.wrong[str(error)] += 1
            raise
        return True


def run(connections: list[Connection], seconds: float) -> Tally:
    """Keep all connections busy for ``seconds``, then wait for what is under way."""
    tally, started = Tally(), time.perf_counter()
    stop_at = started + seconds
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        busy = len(connections)
        while busy:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer within {PATIENCE_SECONDS:.0f} s")
            for key, _ in ready:
                connection = key.data
                if not connection.receive(tally):
                    continue
                if time.perf_counter() < stop_at:
                    connection.send()
                else:
                    busy -= 1
    tally.seconds = time.perf_counter() - started
    return tally


def main() -> None:
    """Do what the plan on standard input says."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    case = getattr(cases, plan.case)
    try:
        connections = [Connection(plan.port, case(plan.material, number)) for number in range(plan.connections)]
        run(connections, WARM_UP_SECONDS)
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(asdict(run(connections, plan.seconds))), flush=True)
    except (cases.WrongAnswer, OSError) as error:
        print(json.dumps({"failed": f"{plan.case}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
