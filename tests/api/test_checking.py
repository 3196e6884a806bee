"""The check that every test's answers go through sees what it should: each kind of answer out of line is named."""

import json

import pytest

from contexts.catalog.services import categories
from shop.contract import ConflictError
from tests.documented import undocumented

pytestmark = pytest.mark.once

PROBLEM = {"Content-Type": "application/problem+json"}
JSON = {"Content-Type": "application/json"}
CATEGORY = {
    "id": "cat_00000000000000",
    "name": "Tea",
    "slug": "tea",
    "parent_id": None,
    "created_at": "2026-01-01T00:00:00.000Z",
}
HERE = "/api/v1/catalog/categories/cat_00000000000000"


def problem(status, code, **more):
    shown = {"type": f"urn:shop:problem:{code}", "title": "", "status": status, "code": code, "detail": ""}
    return json.dumps({**shown, "trace_id": "", **more}).encode()


def seen(status, headers, body, method="GET", path=HERE):
    return undocumented(method, path, status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def test_a_good_answer_passes():
    assert seen(200, JSON, CATEGORY) == []
    assert seen(200, JSON, b"", method="HEAD") == []
    assert seen(404, PROBLEM, problem(404, "not_found")) == []
    assert seen(405, PROBLEM, problem(405, "method_not_allowed"), method="PUT") == []
    assert seen(200, JSON, b"anything", path="/livez") == []


@pytest.mark.parametrize(
    ("status", "headers", "body", "finding"),
    [
        (201, JSON, CATEGORY, "the status is not documented"),
        (409, PROBLEM, problem(409, "conflict"), "the status is not documented"),
        (404, PROBLEM, problem(404, "variant_not_found"), "'variant_not_found' is not one of"),
        (404, PROBLEM, problem(422, "not_found"), "404 was expected"),
        (404, PROBLEM, problem(404, "not_found", more=1), "'more' was unexpected"),
        (404, JSON, problem(404, "not_found"), "the media type is"),
        (200, {"Content-Type": "text/html"}, CATEGORY, "the media type is"),
        (200, JSON, b"{", "the body is not JSON"),
        (200, JSON, {**CATEGORY, "colour": "green"}, "'colour' was unexpected"),
        (200, JSON, {**CATEGORY, "id": "prd_00000000000000"}, "does not match"),
        (200, JSON, {**CATEGORY, "parent_id": 3}, "is not of type"),
        (200, JSON, {**CATEGORY, "created_at": "yesterday"}, "is not a 'date-time'"),
        (200, JSON, {}, "is a required property"),
        (200, {**JSON, "ETag": '"1"'}, CATEGORY, "ETag is there"),
        (401, PROBLEM, problem(401, "token_invalid"), "WWW-Authenticate is not there"),
        (503, PROBLEM, problem(503, "unavailable"), "Retry-After is missing"),
    ],
)
def test_an_answer_out_of_line_is_named(status, headers, body, finding):
    assert any(finding in each for each in seen(status, headers, body)), seen(status, headers, body)


def test_an_answer_where_nothing_is_documented_is_named():
    assert seen(200, JSON, CATEGORY, method="PUT") == [f"PUT {HERE}: 200 where nothing is documented"]


def test_a_body_where_there_should_be_none_is_named():
    assert "there is a body" in seen(204, {}, b"{}", method="DELETE")[0]


def test_it_watches_every_test(client, undocumented_answers, monkeypatch):
    # given an operation that suddenly answers what it does not declare
    def refuse(*_args, **_options):
        raise ConflictError(detail="out of line")

    monkeypatch.setattr(categories, "list_categories", refuse)
    # when a test comes by
    assert client.get("/api/v1/catalog/categories").status_code == 409
    # then the check has seen it
    assert "409" in undocumented_answers[0]
    undocumented_answers.clear()
