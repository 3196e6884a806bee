"""Clients that send half a request and then wait, or a byte now and then: the others are served all the same."""

import contextlib
import socket
import threading
import time

import pytest

from shop.gateway.slow_senders import CLOCK_SECONDS

pytestmark = pytest.mark.once

HALF = (
    b"POST /api/v1/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 400\r\n\r\n{"email":'
)
CHUNKED = (
    b"POST /api/v1/auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"email":\r\n'
)
HALF_A_HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


class Crowd:
    """More connections than the server has threads, each with the beginning of a request."""

    def __init__(self, port: int, beginning: bytes) -> None:
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        for each in self.sockets:
            each.sendall(beginning)
        self._over = threading.Event()
        self._dripping = threading.Thread(target=self._drip)

    def drip(self) -> None:
        self._dripping.start()

    def _drip(self) -> None:
        while not self._over.wait(0.2):
            for each in self.sockets:
                with contextlib.suppress(OSError):
                    each.send(b" ")

    def leave(self) -> None:
        self._over.set()
        if self._dripping.ident:
            self._dripping.join()
        for each in self.sockets:
            each.close()


@pytest.mark.parametrize("beginning", [HALF, CHUNKED, HALF_A_HEAD], ids=["half", "chunked", "head"])
@pytest.mark.parametrize("drips", [False, True])
def test_the_others_go_on(beginning, drips, shop):
    # given more slow senders than the server has threads
    crowd = Crowd(shop.port, beginning)
    if drips and beginning is not CHUNKED:
        crowd.drip()
    try:
        # when somebody else asks, later by more than the clock that tells connections apart can miss
        time.sleep(5 * CLOCK_SECONDS)
        began = time.monotonic()
        status = shop.call("GET", "/api/v1/catalog/products").status
        waited = time.monotonic() - began
    finally:
        crowd.leave()
    # then they are answered, long before the slow ones would have given up
    assert status == 200
    assert waited < 25


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (1 << 20) + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: a\r\n" * 5_000 + b"\r\n", 431),
        (b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    ],
    ids=["header", "headers", "line"],
)
def test_a_head_that_is_too_large_is_refused_at_once(head, status, shop):
    with socket.create_connection(("127.0.0.1", shop.port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(64).split()[1] == str(status).encode()
    assert shop.call("GET", "/livez").status == 200
