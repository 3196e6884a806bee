"""The log line of a request: what it says, and of whom."""

import pytest
import structlog
from structlog.testing import LogCapture

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
