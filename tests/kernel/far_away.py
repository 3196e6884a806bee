"""A context that lives elsewhere: an HTTP server that answers by the face, unless a test tells it to do worse."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shop.contract import Service
from tests.contract.over_http import Here
from tests.serving import serving

type Mishap = Callable[["Answering"], bool]
"""Does something instead of answering; true: the request is answered all the same."""


class FarAway(ThreadingHTTPServer):
    """Counts connections and requests; ``mishaps`` come one per request, then none."""

    daemon_threads = True
    request_queue_size = 64
    """Some tests call more than the usual five at once: on a busy machine the kernel lets the others wait a second."""

    def __init__(self, interface: type[Service], provider: Service) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.here = Here(interface, provider)
        self.mishaps: list[Mishap] = []
        self.always: Mishap | None = None
        self.connections = 0
        self.requests: list[Mapping[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is what some tests want."""


class Answering(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: FarAway

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(dict(self.headers))
        mishap = self.server.mishaps.pop(0) if self.server.mishaps else self.server.always
        if mishap is None or mishap(self):
            self.answer()

    def answer(self) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        found = self.server.here.send("POST", self.path, self.body, headers, seconds=1)
        self.tell(found.status, found.body)

    def tell(self, status: int, body: bytes) -> None:
        self.begin(len(body), status)
        self.wfile.write(body)

    def begin(self, length: int, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


def dropped(request: Answering) -> bool:
    """The request never got there, as far as anybody can tell."""
    request.close_connection = True
    return False


def answer_dropped(request: Answering) -> bool:
    """It is carried out, and the connection ends."""
    request.tell = lambda status, body: None  # type: ignore[method-assign]  # of this one connection
    request.answer()
    request.close_connection = True
    return False


def late(seconds: float) -> Mishap:
    def wait(_request: Answering) -> bool:
        time.sleep(seconds)
        return True

    return wait


def busy(request: Answering) -> bool:
    """Somebody in between has no place."""
    request.tell(503, b"<h1>503</h1>")
    return False


def page(request: Answering) -> bool:
    """Somebody in between answers as if all were well."""
    request.tell(200, b"<html></html>")
    return False


def broken_off(request: Answering) -> bool:
    """Half of an answer comes, and the connection ends."""
    request.begin(100)
    request.wfile.write(b'["a",')
    request.close_connection = True
    return False


def dripping(request: Answering) -> bool:
    """An answer comes, byte by byte."""
    request.begin(20)
    for _ in range(20):
        time.sleep(0.1)
        request.wfile.write(b" ")
    return False


@contextmanager
def far_away(interface: type[Service], provider: Service) -> Iterator[FarAway]:
    """Such a server, for a block."""
    with serving(FarAway(interface, provider)) as server:
        yield server
