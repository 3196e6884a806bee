"""Broken HTTP on bare sockets: the server refuses or hangs up, changes nothing, and goes on answering."""

import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.people import Customer, Staff
from tests.e2e.shopserver import ShopServer

SECONDS = 10.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    server = ShopServer(Path(tmp_path_factory.mktemp("shop")))
    try:
        yield server.start()
    finally:
        server.remove()


class Shopper:
    """A customer whose cart shows whether a request got through."""

    def __init__(self, shop: ShopServer) -> None:
        self.shop, self.customer = shop, Customer(shop)
        self.line = "/api/v1/ordering/cart/lines/" + Staff(shop).product("Cup", stock=9)

    def request(self, body: bytes = b'{"quantity": 3}', **headers: str | None) -> bytes:
        """A good request, but for ``headers``: None leaves one out."""
        given: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.shop.port}",
            "Authorization": f"Bearer {self.customer.token}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
        return "\r\n".join([f"PUT {self.line} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body

    def pieces(self) -> int:
        cart = self.shop.call("GET", "/api/v1/ordering/cart", token=self.customer.token)
        assert cart.status == 200, cart.body
        return sum(line["quantity"] for line in cart.json["lines"])


@pytest.fixture(scope="module")
def shopper(shop):
    return Shopper(shop)


def said(shop: ShopServer, request: bytes, *, patience: float = 1.0) -> list[int]:
    """Statuses of what comes back until the server hangs up, or says nothing more after we did."""
    received, waiting = b"", True
    with socket.create_connection(("127.0.0.1", shop.port), timeout=patience) as connection:
        try:
            connection.sendall(request)
            while waiting:
                try:
                    piece = connection.recv(65_536)
                    received, waiting = received + piece, bool(piece)
                except TimeoutError:
                    connection.shutdown(socket.SHUT_WR)
                    waiting = bool(piece := connection.recv(65_536))
                    received += piece
        except OSError:  # it hung up in the middle, or says nothing
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


REQUESTS = {
    "garbage": lambda s: secrets.token_bytes(4_000),
    "nothing but line breaks": lambda s: b"\r\n" * 2_000,
    "a word": lambda s: b"HELLO\r\n\r\n",
    "TLS": lambda s: bytes.fromhex("16030100c8010000c40303") + secrets.token_bytes(200),
    "HTTP/0.9": lambda s: b"GET /api/v1/ordering/cart\r\n",
    "HTTP/2 preface": lambda s: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
    "HTTP/9.9": lambda s: s.request().replace(b"HTTP/1.1", b"HTTP/9.9", 1),
    "a request line of a megabyte": lambda s: b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a header of a megabyte": lambda s: s.request(X_Long="x" * (1 << 20)),
    "ten thousand headers": lambda s: s.request(**{f"X-{n}": "x" for n in range(10_000)}),
    "NUL in a header": lambda s: s.request(X_Nul="a\0b"),
    "NUL in the address": lambda s: s.request().replace(b"/cart/", b"/cart\0/", 1),
    "a blank in the address": lambda s: s.request().replace(b"/cart/", b"/ca rt/", 1),
    "a header without a name": lambda s: s.request().replace(b"Content-Type:", b":", 1),
    "a blank before the colon": lambda s: s.request().replace(b"Content-Length:", b"Content-Length :", 1),
    "a folded header": lambda s: s.request(X_Folded="a\r\n b"),
    "no host": lambda s: s.request(Host=None),
    "two hosts": lambda s: s.request(X_One="1\r\nHost: evil.example"),
    "another host": lambda s: s.request(Host="evil.example"),
    "a host with a user": lambda s: s.request(Host="localhost@evil.example"),
    "a negative length": lambda s: s.request(Content_Length="-15"),
    "a length that is a word": lambda s: s.request(Content_Length="fifteen"),
    "a length with a plus": lambda s: s.request(Content_Length="+15"),
    "a length beyond all": lambda s: s.request(Content_Length="9" * 30),
    "a length in hexadecimal": lambda s: s.request(Content_Length="0xf"),
    "two lengths that differ": lambda s: s.request(X_One="1\r\nContent-Length: 5"),
    "a length that is a list": lambda s: s.request(Content_Length="15, 5"),
    "half a body": lambda s: s.request(Content_Length="30"),
    "no length": lambda s: s.request(Content_Length=None),
    "chunks of no size": lambda s: s.request(
        b"zz\r\n{}\r\n0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked"
    ),
    "chunks of a negative size": lambda s: s.request(
        b"-2\r\n{}\r\n0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked"
    ),
    "chunks beyond all": lambda s: s.request(
        b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked"
    ),
    "chunks that break off": lambda s: s.request(
        b'f\r\n{"quantity": 3}', Content_Length=None, Transfer_Encoding="chunked"
    ).removesuffix(b"}"),
    "chunks without an end": lambda s: s.request(
        b'a\r\n{"quantity\r\n', Content_Length=None, Transfer_Encoding="chunked"
    ),
    "a coding that there is not": lambda s: s.request(Content_Length=None, Transfer_Encoding="nonsense"),
    "chunks that are not the last coding": lambda s: s.request(Content_Length=None, Transfer_Encoding="chunked, gzip"),
    "only the first line": lambda s: s.request().partition(b"\r\n")[0] + b"\r\n",
    "headers that break off": lambda s: s.request()[:120],
    "a bare line feed in a header": lambda s: s.request(X_Feed="a\nContent-Length: 0\n\nGET / HTTP/1.1"),
    "an address of another server": lambda s: (
        s.request().replace(b"PUT /", b"PUT http://evil.example/", 1).replace(s.line.encode(), b"/", 1)
    ),
    "two slashes": lambda s: s.request().replace(b"PUT /", b"PUT //", 1),
    "up and down": lambda s: s.request().replace(b"/cart/", b"/cart/..%2fcart/", 1),
    "up and down, plain": lambda s: s.request().replace(b"/cart/lines/", b"/cart/lines/../lines/", 1),
    "a slash too many": lambda s: s.request().replace(b" HTTP/1.1", b"/ HTTP/1.1", 1),
    "an asterisk": lambda s: s.request().replace(s.line.encode(), b"*", 1),
    "CONNECT": lambda s: b"CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "TRACE": lambda s: s.request().replace(b"PUT", b"TRACE", 1),
    "a header that is answered with": lambda s: s.request(Authorization="Bearer a%0d%0aSet-Cookie:%20a=b"),
}


@pytest.mark.parametrize("build", REQUESTS.values(), ids=REQUESTS)
def test_a_broken_request_changes_nothing_and_the_next_one_is_answered(shop, shopper, build):
    before = shopper.pieces()
    statuses = said(shop, build(shopper))
    print(statuses)
    assert [status for status in statuses if not 400 <= status < 500] == []
    assert shopper.pieces() == before
    assert shop.call("GET", "/readyz").status == 200


def test_of_a_body_with_two_lengths_no_second_request_is_made(shop, shopper):
    # given one request whose end depends on which of two headers counts
    hidden = (
        f"DELETE /api/v1/ordering/cart HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {shopper.customer.token}"
    )
    body = b"0\r\n\r\n" + hidden.encode() + b"\r\n\r\n"
    statuses = said(shop, shopper.request(body, Transfer_Encoding="chunked"))
    # then it is one bad request, or a bad one and the end: never an answer to what was hidden in it
    assert len(statuses) <= 1 or statuses[1:] == [400], statuses
    assert all(400 <= status < 500 for status in statuses)
    assert shopper.pieces() == 0


def test_what_lies_behind_a_body_is_the_next_request_and_nothing_else(shop, shopper):
    # given a good request, the same one again behind it, and nonsense behind that
    body = b'{"quantity": 0}'
    statuses = said(shop, shopper.request(body, Connection=None) * 2 + b"nonsense\r\n\r\n", patience=SECONDS)
    # then each is answered by itself
    assert statuses in ([200, 200, 400], [200, 200]), statuses


def test_a_good_request_on_a_bare_socket_is_answered(shop, shopper):
    """The control: what the others were refused for is what their names say."""
    other = Shopper(shop)
    assert said(shop, other.request(), patience=SECONDS) == [200]
    whole = b'f\r\n{"quantity": 5}\r\n0\r\n\r\n'
    chunks = other.request(whole, Content_Length=None, Transfer_Encoding="chunked")
    assert said(shop, chunks, patience=SECONDS) == [200]
    assert other.pieces() == 5


def test_no_answer_repeats_what_came_in_a_header(shop):
    for name in ("X-Request-ID", "Idempotency-Key", "Origin", "Host"):
        answer = socket_answer(
            shop, f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n{name}: canary-7\r\nConnection: close\r\n\r\n"
        )
        assert b"canary-7" not in answer


def socket_answer(shop: ShopServer, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", shop.port), timeout=SECONDS) as connection:
        connection.sendall(text.encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received
