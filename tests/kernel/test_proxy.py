"""What passes the gateway to a context that lives elsewhere, and what does not."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client

from shop.gateway.openapi import as_json
from shop.gateway.proxy import forwarding, mount_proxy, repeating
from shop.http.edge import HEADER, Edge, edge_of, told
from shop.http.limits import network_of
from shop.services.transport.http.targets import leave_targets
from tests.serving import serving

pytestmark = [pytest.mark.once, pytest.mark.urls(__name__)]

urlpatterns = [mount_proxy("catalog")]
PATH = "/api/v1/catalog/products"


class Upstream(ThreadingHTTPServer):
    """Tells what it was asked; ``act`` may do something else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.seen: list[dict[str, Any]] = []
        self.acts: list[Any] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Some tests end connections."""


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.decode()}
        self.server.seen.append(seen)
        act = self.server.acts.pop(0) if self.server.acts else None
        if act is None or act(self):
            self.tell(200, b'{"n": 1}', {"Content-Type": "application/json", "ETag": '"1"', "X-Request-ID": "theirs"})

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def tell(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def upstream():
    with serving(Upstream()) as server:
        yield server


@pytest.fixture(autouse=True)
def apart(settings, upstream):
    settings.CONTEXT_URLS = {"catalog": f"http://127.0.0.1:{upstream.server_port}"}
    yield
    leave_targets()


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


def content(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_request_goes_there_and_its_answer_comes_back(client, upstream):
    body = json.dumps({"name": "Teapot"})
    headers = {"Authorization": "Bearer x", "Idempotency-Key": "k", "If-Match": '"1"'}
    answer = client.post(f"{PATH}?a=%20b&c=d%2Fe", body, content_type="application/json", headers=headers)
    assert (answer.status_code, content(answer), answer["ETag"]) == (200, b'{"n": 1}', '"1"')
    [seen] = upstream.seen
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", f"{PATH}?a=%20b&c=d%2Fe", body)
    assert {name: seen["headers"][name] for name in headers} == headers


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 401, 404, 409, 422, 429, 500])
def test_every_answer_is_passed_on_as_it_is(status, client, upstream):
    upstream.acts = [lambda request: request.tell(status, b"" if status in (204, 304) else b"{}", {"X-Of-Theirs": "1"})]
    answer = client.get(PATH)
    content(answer)
    assert (answer.status_code, answer["X-Of-Theirs"], len(upstream.seen)) == (status, "1", 1)


SPOOFED = {
    "X-User-Id": "1",
    "X-User-Token": "x",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "Via": "evil",
    "Traceparent": "00-" + "1" * 32 + "-" + "1" * 16 + "-01",
    "Tracestate": "a=b",
    "Baggage": "user=1",
    "X-Shop-Edge": "1;2;3;4",
    "X-Deadline-Milliseconds": "1",
    "X-Request-Id": "mine",
    "Cookie": "sessionid=1",
    "Keep-Alive": "timeout=5",
    "Proxy-Authorization": "Basic x",
    "Proxy-Connection": "keep-alive",
    "TE": "trailers",
    "Trailer": "X",
    "Upgrade": "websocket",
    "Expect": "100-continue",
}


@pytest.mark.parametrize("name", SPOOFED)
def test_what_nobody_may_say_of_himself_does_not_pass(name, client, upstream):
    content(client.get(PATH, headers={name: SPOOFED[name]}))
    [seen] = upstream.seen
    assert SPOOFED[name] not in seen["headers"].values()


def test_what_belongs_to_the_connection_does_not_pass(client, upstream):
    content(client.get(PATH, headers={"Connection": "close, X-Secret", "X-Secret": "1", "X-Other": "2"}))
    [seen] = upstream.seen
    assert "X-Secret" not in seen["headers"]
    assert seen["headers"]["X-Other"] == "2"


def test_the_context_is_told_who_asks_and_believes_nobody_else(client, upstream, rf):
    content(client.get(PATH, REMOTE_ADDR="10.1.2.3"))
    note = upstream.seen[0]["headers"][HEADER]
    assert network_of(rf.get("/", headers={HEADER: note}, REMOTE_ADDR="127.0.0.1")) == "10.1.2.3"
    for damaged in ("", "x", note.replace("10.1.2.3", "10.1.2.4"), note[:-1], f"{note};", ";;;"):
        request = rf.get("/", headers={HEADER: damaged}, REMOTE_ADDR="127.0.0.1")
        assert (edge_of(request), network_of(request)) == (None, "127.0.0.1")


def test_an_old_note_is_worth_nothing(monkeypatch, rf):
    note = told(Edge(traceparent="", address="10.1.2.3"))
    now = time.time()
    for later in (-61, 61):
        monkeypatch.setattr("shop.http.edge.time.time", lambda later=later: now + later)
        assert edge_of(rf.get("/", headers={HEADER: note})) is None


def test_a_request_that_the_gateway_sent_is_not_sent_on(client, upstream):
    answer = client.get(PATH, headers={HEADER: told(Edge(traceparent="", address="10.1.2.3"))})
    assert (answer.status_code, upstream.seen) == (503, [])


def ended(request):
    request.close_connection = True
    return False


def busy(request):
    request.tell(503, b"{}", {})
    return False


def broken_off(request):
    """Nobody has said how long it is, and it ends in the middle."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"5\r\nhello\r\n")
    request.close_connection = True
    return False


KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def documented(monkeypatch):
    """A context that keeps what it answers to some requests under their key, and of others looks at no key."""
    monkeypatch.setattr(repeating, "part_of", as_json)


@pytest.mark.usefixtures("documented")
@pytest.mark.parametrize("act", [ended, busy])
@pytest.mark.parametrize(
    ("request_of", "times"),
    [
        (("GET", PATH, {}), 2),
        (("POST", PATH, KEY), 2),
        (("POST", f"{PATH}/prd_1/variants", KEY), 2),
        (("POST", PATH, {}), 1),
        (("PATCH", f"{PATH}/prd_1", KEY), 1),
        (("POST", f"{PATH}/prd_1/nothing", KEY), 1),
    ],
)
def test_once_more_where_that_does_no_harm(request_of, times, act, client, upstream):
    upstream.acts, (method, path, headers) = [act], request_of
    answer = client.generic(method, path, headers=headers)
    content(answer)
    assert (answer.status_code == 200, len(upstream.seen)) == (times == 2, times)


def test_a_key_is_no_reason_to_repeat_where_nobody_says_what_becomes_of_it(client, upstream):
    upstream.acts = [ended]
    assert client.post(PATH, headers=KEY).status_code == 503
    assert [seen["path"] for seen in upstream.seen if seen["method"] == "POST"] == [PATH]


def test_an_answer_of_unknown_length_that_breaks_off_is_none(client, upstream):
    upstream.acts = [broken_off]
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_an_answer_that_breaks_off_is_shorter_than_it_said(client, upstream):
    def half(request):
        request.send_response(200)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"first")
        request.close_connection = True

    upstream.acts = [half]
    answer = client.get(PATH)
    assert (answer["Content-Length"], content(answer)) == ("10", b"first")
    # then nobody uses that connection again
    assert content(client.get(PATH)) == b'{"n": 1}'


@pytest.mark.parametrize("query", ["q=\u00c2\u00a3100", "q=%C2%A3100", "q=a%20b&c=d%2Fe"])
def test_a_query_goes_on_as_the_bytes_that_came(query, client, upstream):
    # given a query as a server hands it on: every byte a character
    content(client.get(PATH, QUERY_STRING=query))
    assert unquote(upstream.seen[0]["path"].partition("?")[2]) == unquote(query.replace("\u00c2\u00a3", "%C2%A3"))


def test_where_nobody_is_clients_are_told_to_come_back(client, settings):
    settings.CONTEXT_URLS = {"catalog": "http://127.0.0.1:1"}
    answer = client.get(PATH)
    assert (answer.status_code, answer["Retry-After"], answer.json()["code"]) == (503, "1", "unavailable")


def test_who_does_not_answer_in_time_is_given_up(client, upstream, monkeypatch):
    monkeypatch.setattr(forwarding, "WAIT_SECONDS", 0.1)
    upstream.acts = [lambda request: time.sleep(0.5)]
    answer = client.get(PATH)
    assert (answer.status_code, answer.json()["code"], len(upstream.seen)) == (503, "unavailable", 1)


def test_an_answer_is_passed_on_while_it_comes(client, upstream):
    # given an answer whose second half comes later
    go_on = threading.Event()

    def in_two_halves(request):
        request.send_response(200)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"first")
        request.wfile.flush()
        go_on.wait(10)
        request.wfile.write(b"after")

    upstream.acts = [in_two_halves]
    parts = iter(client.get(PATH).streaming_content)
    # then the first half is here before the second is sent
    assert next(parts) == b"first"
    go_on.set()
    assert b"".join(parts) == b"after"


def test_connections_are_used_again(client, upstream):
    for _ in range(3):
        content(client.get(PATH))
    ports = {seen["headers"]["Host"] for seen in upstream.seen}
    assert (len(upstream.seen), len(ports)) == (3, 1)


def test_what_a_client_does_wrong_is_no_failure_of_the_context(client, upstream):
    # given a client that sends too much, again and again
    for _ in range(30):
        assert client.post(PATH, b"x" * (1 << 21), content_type="application/json").status_code == 413
    # then nobody was asked, and others are answered
    assert upstream.seen == []
    assert content(client.get(PATH)) == b'{"n": 1}'


def test_what_a_context_can_not_do_now_is_no_failure_of_the_context(client, upstream):
    # given a context of which one shard is away
    away = b'{"code": "shard_unavailable"}'
    upstream.acts = [lambda request: request.tell(503, away, {})] * 60
    for _ in range(30):
        answer = client.post(PATH)
        assert (answer.status_code, content(answer)) == (503, away)
    # then what needs another shard is answered
    upstream.acts = []
    assert content(client.get(PATH)) == b'{"n": 1}'
