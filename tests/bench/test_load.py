"""The load looks at every answer, and ends at the first that is not right."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.architecture.tree import ROOT

pytestmark = pytest.mark.once

PRODUCT = "prd_0123456789abcd"


@contextmanager
def server(answer: Callable[[int], tuple[int, bytes]]) -> Iterator[int]:
    """A server that gives ``answer(n)`` to its n-th request; its port."""
    asked = iter(range(1_000_000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = answer(next(asked))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def press(port: int) -> dict[str, Any]:
    """What a short load reports, the warm-up included."""
    plan = {
        "case": "product",
        "port": port,
        "connections": 2,
        "seconds": 0.2,
        "material": {"products": [PRODUCT]},
    }
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benches.load"],
        cwd=ROOT,
        input=f"{json.dumps(plan)}\ngo\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


GOOD = f'{{"id": "{PRODUCT}", "available": 3}}'.encode()


def test_good_answers_are_counted_and_timed():
    with server(lambda n: (200, GOOD)) as port:
        tally = press(port)
    assert tally["requests"] == len(tally["milliseconds"]) > 2
    assert 0.2 <= tally["seconds"] < 10
    assert min(tally["milliseconds"]) > 0


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ((500, GOOD), "500 instead of 200"),
        ((200, b'{"id": "prd_other", "available": 3}'), PRODUCT),
        ((200, f'{{"id": "{PRODUCT}"}}'.encode()), "available"),
        ((200, b""), PRODUCT),
    ],
    ids=["an error", "another product", "half an answer", "nothing"],
)
def test_one_wrong_answer_ends_it(answer, what):
    # given a server of which only the tenth answer is wrong
    with server(lambda n: answer if n == 10 else (200, GOOD)) as port:
        report = press(port)
    assert what in report["failed"]


def test_a_connection_that_ends_is_told():
    with server(lambda n: (200, GOOD)) as port:
        pass
    assert "product:" in press(port)["failed"]
