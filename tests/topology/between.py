"""What stands between two contexts in tests of faults: passes calls on, or does worse."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shop.services.transport.http.connections import Connections, NoAnswer, NotSent
from tests.serving import serving


class Between(ThreadingHTTPServer):
    """``mode`` is what happens to calls now: ``""``, ``drop``, ``drop answers``, ``late`` or ``busy``."""

    daemon_threads = True
    request_queue_size = 64
    SHARE = 0.3
    LATE_SECONDS = 2.0

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.there = Connections(url)
        self.mode = ""
        self.seen: Counter[str] = Counter()
        self.random = random.Random(7)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def hits(self) -> bool:
        return self.random.random() < self.SHARE

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers go away."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = self.server.mode if "/events" not in self.path else ""
        self.server.seen[self.path.rpartition("/")[2]] += 1
        if mode == "late":
            time.sleep(self.server.LATE_SECONDS)
        if mode == "busy" and self.server.hits():
            self._tell(503, b"busy")
        elif mode == "drop" and self.server.hits():
            self.close_connection = True
        else:
            self._pass_on(body, answers=not (mode == "drop answers" and self.server.hits()))

    def do_GET(self) -> None:
        self._pass_on(b"", answers=True)

    def _pass_on(self, body: bytes, *, answers: bool) -> None:
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")
        }
        try:
            found = self.server.there.send(self.command, self.path, body, headers, seconds=10)
        except (NotSent, NoAnswer):
            self.close_connection = True
            return
        if answers:
            self._tell(found.status, found.body)
        else:
            self.close_connection = True

    def _tell(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


@contextmanager
def between(url: str) -> Iterator[Between]:
    """Such a one, for a block."""
    with serving(Between(url)) as server:
        yield server
    server.there.close()
