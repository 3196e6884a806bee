"""A request hidden in another one, or a header that nobody may send: nothing of it gets past a real gateway."""

import re
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.e2e.shopserver import ROOT, ShopServer, free_port
from tests.kernel.test_proxy import SPOOFED, Upstream
from tests.serving import serving

pytestmark = pytest.mark.once

GOOD = "/api/v1/catalog/good"
HIDDEN = b"GET /api/v1/catalog/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(*headers, body=b"", version="HTTP/1.1", line=None):
    lines = [line or f"POST {GOOD} {version}", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


CHUNKED = b"0\r\n\r\n" + HIDDEN
PAYLOADS = {
    "length and chunks": post(f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: chunked", body=CHUNKED),
    "chunks and a short length": post("Transfer-Encoding: chunked", "Content-Length: 4", body=CHUNKED),
    "two lengths": post("Content-Length: 0", f"Content-Length: {len(HIDDEN)}", body=HIDDEN),
    "two lengths in one": post(f"Content-Length: 0, {len(HIDDEN)}", body=HIDDEN),
    "a length with a sign": post("Content-Length: +0", body=HIDDEN),
    "a negative length": post("Content-Length: -1", body=HIDDEN),
    "a length in hex": post("Content-Length: 0x0", body=HIDDEN),
    "a length and a blank before the colon": post("Content-Length : 0", body=HIDDEN),
    "chunks with a blank before the colon": post("Transfer-Encoding : chunked", body=CHUNKED),
    "chunks in another word": post("Transfer-Encoding: xchunked", f"Content-Length: {len(CHUNKED)}", body=CHUNKED),
    "chunks after something": post("Transfer-Encoding: identity, chunked", "Content-Length: 3", body=CHUNKED),
    "chunks twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=CHUNKED),
    "chunks with a tab": post("Transfer-Encoding:\tchunked", "Content-Length: 3", body=CHUNKED),
    "a folded line": post("X-A: b\r\n Transfer-Encoding: chunked", "Content-Length: 3", body=CHUNKED),
    "only line feeds": post("Content-Length: 0", body=HIDDEN).replace(b"\r\n", b"\n"),
    "a carriage return alone": post("X-A: b\rTransfer-Encoding: chunked", "Content-Length: 3", body=CHUNKED),
    "a NUL in a header": post("X-A: b\0c", f"Content-Length: {len(HIDDEN)}", body=HIDDEN),
    "a chunk size that is none": post("Transfer-Encoding: chunked", body=b"zz\r\n" + HIDDEN),
    "a chunk size with a sign": post("Transfer-Encoding: chunked", body=b"-1\r\n\r\n" + HIDDEN),
    "a chunk that is too short": post("Transfer-Encoding: chunked", body=b"5\r\nab\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size that overflows": post("Transfer-Encoding: chunked", body=b"10000000000000000\r\n" + HIDDEN),
    "a header among the trailers": post(
        "Transfer-Encoding: chunked", "Trailer: Content-Length", body=b"0\r\nContent-Length: 500\r\n\r\n"
    ),
    "HTTP/2 asked for": post("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: x", body=HIDDEN),
    "an old protocol with chunks": post("Transfer-Encoding: chunked", body=CHUNKED, version="HTTP/1.0"),
    "a whole address": post("Content-Length: 0", line="GET http://evil/_svc/catalog/v1/jwks HTTP/1.1"),
    "two hosts": post("Host: evil", "Content-Length: 0", body=HIDDEN),
    "a blank in the address": post(line=f"GET {GOOD} HTTP/1.1\r\nX: y /api/v1/catalog/hidden HTTP/1.1"),
}
UP = ("/api/v1/catalog/..%2f..%2f..%2f_svc/catalog/v1/jwks", "/api/v1/catalog/../../../_svc/catalog/v1/jwks", "/_svc/")


@pytest.fixture(scope="module")
def upstream():
    with serving(Upstream()) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    """A gateway whose contexts all live at ``upstream``."""
    url, port = f"http://127.0.0.1:{upstream.server_port}", free_port()
    server = ShopServer.__new__(ShopServer)
    server.home, server.port, server._databases, server._process = tmp_path_factory.mktemp("gateway"), port, [], None
    urls = {f"{name}_URL": url for name in ("AUTH", "CATALOG", "ORDERING")}
    server._environment = {"CONTEXTS": "none", **urls}
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    with (server.home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=server.environment(), stdout=log, stderr=log, start_new_session=True)
    server._process = process
    for _ in range(300):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.1)
    yield server
    server.kill()


def answered(gateway, payload):
    """All that comes back on a connection of its own, until it is closed or silent."""
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
        connection.settimeout(1.0)
        connection.sendall(payload)
        found = b""
        with suppress(OSError):
            while part := connection.recv(65_536):
                found += part
    return found


@pytest.mark.parametrize("what", PAYLOADS)
def test_nothing_hidden_gets_through_and_nobody_gets_anothers_answer(what, gateway, upstream):
    # given what the gateway makes of it
    before = len(upstream.seen)
    answers = re.findall(rb"HTTP/1\.[01] (\d\d\d)", answered(gateway, PAYLOADS[what]))
    seen = upstream.seen[before:]
    # then the context was asked nothing that the gateway has not answered, and what it was asked has no body that lies
    assert len(seen) <= len(answers)
    assert all(b"smuggled" not in each["body"].encode() for each in seen)
    for each in seen:
        length = each["headers"].get("Content-Length", "0")
        assert (len(each["body"].encode()), "Transfer-Encoding" in each["headers"]) == (int(length), False)
    # and the next one on another connection gets its own answer
    before = len(upstream.seen)
    assert (
        answered(gateway, f"GET {GOOD}?n={what.replace(' ', '-')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())[9:12]
        == b"200"
    )
    assert [each["path"] for each in upstream.seen[before:]] == [f"{GOOD}?n={what.replace(' ', '-')}"]


@pytest.mark.parametrize("name", SPOOFED)
def test_a_header_that_nobody_may_send_does_not_pass(name, gateway, upstream):
    before = len(upstream.seen)
    answered(gateway, f"GET {GOOD} HTTP/1.1\r\nHost: localhost\r\n{name}: {SPOOFED[name]}\r\n\r\n".encode())
    for seen in upstream.seen[before:]:
        assert SPOOFED[name] not in seen["headers"].values()


@pytest.mark.parametrize("path", ["/_svc/catalog/v1/jwks", "/_svc/auth/v1/profiles", *UP])
def test_internal_addresses_do_not_exist_outside(path, gateway, upstream):
    before = len(upstream.seen)
    answer = answered(gateway, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert upstream.seen[before:] == []
    assert answer[9:12] in (b"404", b"400")
