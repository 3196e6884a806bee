"""The log line of a request: what it says, and of whom."""

import io
import json
import logging
from datetime import UTC, datetime

import pytest
import structlog
from structlog.testing import LogCapture

from shop.observability.logs import RequestLog

pytestmark = pytest.mark.once


@pytest.fixture
def lines(monkeypatch):
    """Log events as they would be written, with what is bound to the thread."""
    capture = LogCapture()
    processors: list[structlog.typing.Processor] = [structlog.contextvars.merge_contextvars, capture]
    monkeypatch.setattr("shop.gateway.access.log", structlog.wrap_logger(None, processors=processors))
    return capture.entries


def test_a_line_names_the_context_that_answered_an_anonymous_caller(client, lines):
    client.post("/api/v1/auth/token", {}, content_type="application/json")
    assert lines[0]["context"] == "auth"


def test_a_line_does_not_inherit_what_the_thread_s_last_request_bound(client, lines):
    structlog.contextvars.bind_contextvars(context="left behind")
    client.get("/livez")
    assert lines[0]["context"] == ""


def test_an_error_of_a_page_is_logged_too(client, monkeypatch):
    told = LogCapture()
    monkeypatch.setattr("shop.http.problems.log", structlog.wrap_logger(None, processors=[told]))
    monkeypatch.setattr("shop.gateway.pages.hosted_contexts", lambda: 1 // 0)
    client.raise_request_exception = False
    assert client.get("/").status_code == 500
    assert [(line["event"], line["error"]) for line in told.entries] == [("unhandled_error", "ZeroDivisionError")]


@pytest.fixture
def nobody_else(monkeypatch):
    """Leaves our own handler only, as in a served shop; pytest adds some of its own when a test begins."""
    return lambda: monkeypatch.setattr(logging.root, "handlers", [logging.getHandlerByName("lines")])


def test_a_line_is_written_straight_to_standard_error_whole_and_as_json(client, capfd, nobody_else, monkeypatch):
    # given a shop in which the standard library's way is closed
    nobody_else()
    monkeypatch.setattr(logging.Logger, "makeRecord", None)
    # when
    client.get("/livez", headers={"User-Agent": "tea"})
    # then
    [line] = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["event"], line["method"], line["route"], line["status"]) == ("request", "GET", "livez", 200)
    assert (line["level"], len(line["trace_id"])) == ("info", 32)
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is UTC
    assert "tea" not in json.dumps(line)


def test_a_line_has_the_same_fields_on_both_ways(client, capfd, monkeypatch):
    seen = io.StringIO()
    listening = logging.StreamHandler(seen)
    ours = logging.getHandlerByName("lines")
    listening.setFormatter(ours.formatter)
    for handlers in ([ours], [listening]):
        monkeypatch.setattr(logging.root, "handlers", handlers)
        client.get("/livez")
    [straight, usual] = [json.loads(line) for line in (capfd.readouterr().err, seen.getvalue())]
    assert straight.keys() == usual.keys()
    assert straight["trace_id"] != usual["trace_id"]


def test_a_level_above_it_silences_it(capfd, nobody_else):
    nobody_else()
    RequestLog("shop.tests", "WARNING").info("request")
    RequestLog("shop.tests", "INFO").info("told")
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["told"]
