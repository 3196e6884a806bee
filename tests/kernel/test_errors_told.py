"""Errors told to Sentry: one that nobody expected arrives, and nothing of what was sent comes with it."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.kernel.processes import clean_environment, result, start

pytestmark = pytest.mark.once

CANARIES = ("canary@example.org", "canary-password", "canary-token", "Canary Wharf", "canary-agent")
FAIL = """
from unittest.mock import patch
from django.test import Client
import sentry_sdk
def fail(**given):
    password = "canary-password"
    raise ValueError("no such account: canary@example.org at 'Canary Wharf'" + "\\ncanary-token")
client = Client(HTTP_HOST="localhost", raise_request_exception=False)
sent = {"HTTP_AUTHORIZATION": "Bearer canary-token", "HTTP_USER_AGENT": "canary-agent", "REMOTE_ADDR": "192.0.2.1"}
with patch("contexts.catalog.services.categories.list_categories", fail):
    status = client.get("/api/v1/catalog/categories", HTTP_USER_AGENT="canary-agent").status_code
client.get("/canary-token", **sent)
sentry_sdk.flush(10)
print(json.dumps({"status": status}))
"""


@pytest.fixture
def sentry():
    """A receiver on this machine: its DSN, and what came."""
    received: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://key@127.0.0.1:{server.server_port}/1", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_error_arrives_with_its_place_and_without_data(sentry, tmp_path):
    dsn, received = sentry
    environment = clean_environment(tmp_path, CONTEXTS="catalog", SENTRY_DSN=dsn)
    assert result(start(FAIL, environment)) == {"status": 500}
    [envelope] = received
    event = json.loads(envelope.splitlines()[2])
    [error] = event["exception"]["values"]
    assert error["type"] == "ValueError"
    assert error["stacktrace"]["frames"]
    assert set(event["tags"]) == {"trace_id"}
    for canary in ("vars", "request", "breadcrumbs", "server_name"):
        assert canary not in event
    quoted = json.dumps({**event, "exception": [error["type"], error["value"]]})
    assert not [canary for canary in CANARIES if canary in quoted]
