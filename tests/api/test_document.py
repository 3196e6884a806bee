"""The API's document: valid, whole, and what was promised; nothing in it that is not served, and nothing left out."""

import json
from collections import Counter
from io import StringIO

import pytest
from django.core.management import call_command
from openapi_spec_validator import OpenAPIV31SpecValidator

from config.hosting import KNOWN_CONTEXTS
from shop.gateway.openapi import as_json, document, problem_page
from shop.gateway.openapi.document import Clash, _add_schemas
from shop.gateway.openapi.refusals import problem_codes
from shop.gateway.routes import Who, operations_of
from tests.api.promised import AT_THE_ROOT, promises
from tests.docs.pages import ROOT

pytestmark = pytest.mark.once

EVERYWHERE = {400: "bad_request", 429: "rate_limited", 500: "internal_error", 503: "unavailable"}


@pytest.fixture(scope="module")
def whole():
    return json.loads(as_json())


def operations(whole):
    return {(method, path): each for path, at in whole["paths"].items() for method, each in at.items()}


def codes_of(whole, operation):
    """Problem codes of an operation, by status."""
    answers = {
        int(status): whole["components"]["responses"][answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in operation["responses"].items()
    }
    return {status: problem_codes(answer) for status, answer in answers.items() if problem_codes(answer)}


@pytest.mark.parametrize("context", ["", *KNOWN_CONTEXTS])
def test_it_is_valid_openapi_3_1(context):
    found = json.loads(as_json(context))
    assert found["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(found).iter_errors()] == []


def test_the_generators_have_no_complaint(capsys):
    document()
    assert capsys.readouterr() == ("", "")


def test_it_is_the_same_each_time():
    assert json.dumps(document(), ensure_ascii=False).encode() == as_json()


# ---- against what was promised -------------------------------------------------------------------------------


def test_it_has_the_promised_operations_and_no_other(whole):
    promised = {(each.method, each.path) for each in promises()}
    assert set(operations(whole)) - {AT_THE_ROOT} == promised
    assert len(promised) == len(promises()) == 46


@pytest.mark.parametrize("promise", promises(), ids=lambda each: f"{each.method} {each.path}")
def test_an_operation_is_as_promised(whole, promise):
    found = operations(whole)[promise.method, promise.path]
    problems = codes_of(whole, found)
    assert [status for status in found["responses"] if status.startswith("2")] == [promise.success]
    assert tuple(found["x-roles"]) == promise.roles
    assert promise.codes <= {code for codes in problems.values() for code in codes}
    references = {parameter.get("$ref", "").rpartition("/")[2] for parameter in found["parameters"]}
    assert ("RequiredIdempotencyKey" in references) == promise.needs_key
    assert found["tags"] == [promise.context]


# ---- against the route table ---------------------------------------------------------------------------------


def test_it_has_every_route_and_no_other(whole):
    routed = {
        (route.method.lower(), "/" + template.replace("<", "{").replace(">", "}"))
        for context in KNOWN_CONTEXTS
        for template, route in operations_of(context)
    }
    assert set(operations(whole)) - {AT_THE_ROOT} == routed


@pytest.mark.parametrize("context", KNOWN_CONTEXTS)
def test_every_operation_says_what_the_gateway_does(whole, context):
    for template, route in operations_of(context):
        path = "/" + template.replace("<", "{").replace(">", "}")
        problems = codes_of(whole, operations(whole)[route.method.lower(), path])
        for status, code in EVERYWHERE.items():
            assert code in problems[status], (path, code)
        assert (401 in problems) or (route.who is Who.ANYONE), path
        assert (403 in problems) == (route.who not in (Who.ANYONE, Who.READER)), path
        assert (415 in problems) == route.has_body, path
        assert "<" not in template or 404 in problems, path
        for error in route.errors:
            assert error.code in {code for codes in problems.values() for code in codes}, (path, error)


def test_every_operation_says_that_a_shard_may_be_away_and_when_to_come_again(whole):
    responses = whole["components"]["responses"]
    of_contexts = [each for at, each in operations(whole).items() if at != AT_THE_ROOT]
    for operation in of_contexts:
        answer = operation["responses"]["503"]
        answer = responses[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        assert "shard_unavailable" in problem_codes(answer)
        assert "Retry-After" in answer["headers"]


# ---- for those who read it -----------------------------------------------------------------------------------


def test_every_operation_has_a_name_of_its_own_and_a_summary(whole):
    found = operations(whole).values()
    assert [name for name, times in Counter(each["operationId"] for each in found).items() if times > 1] == []
    assert [each["operationId"] for each in found if not 5 <= len(each["summary"]) <= 80] == []


def test_every_problem_code_has_a_meaning(whole):
    for operation in operations(whole).values():
        for answer in operation["responses"].values():
            for code in problem_codes(answer):
                assert f"- `{code}`: " in answer["description"]
                assert f"- `{code}`: \n" not in answer["description"] + "\n"


def test_every_body_is_closed_and_every_component_is_used(whole):
    text, schemas = json.dumps(whole), whole["components"]["schemas"]
    assert [name for name in schemas if f'"#/components/schemas/{name}"' not in text] == []
    for operation in operations(whole).values():
        if "requestBody" in operation and operation["operationId"] != "receive_webhook":  # that body a provider shapes
            name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert schemas[name]["additionalProperties"] is False, name


def test_a_contexts_document_is_its_part_of_the_whole(whole):
    parts = [json.loads(as_json(context)) for context in KNOWN_CONTEXTS]
    assert {path: at for part in parts for path, at in part["paths"].items()} == whole["paths"]
    assert {name: each for part in parts for name, each in part["components"]["schemas"].items()} == whole[
        "components"
    ]["schemas"]


def test_two_things_of_one_name_are_refused():
    schemas = {"Cup": {"type": "object"}}
    _add_schemas(schemas, {"Cup": {"type": "object"}})
    with pytest.raises(Clash, match="Cup"):
        _add_schemas(schemas, {"Cup": {"type": "string"}})


# ---- where it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "context"), [("openapi.json", ""), ("catalog/openapi.json", "catalog")])
def test_it_is_served_with_its_version(client, path, context):
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/json", as_json(context))
    assert answer["Cache-Control"] == "public, max-age=300"
    again = client.get(f"/api/v1/{path}", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(f"/api/v1/{path}").status_code == 200


def test_there_is_none_of_another_context(client):
    answer = client.get("/api/v1/shipping/openapi.json")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_it_is_only_read(client):
    answer = client.post("/api/v1/openapi.json")
    assert (answer.status_code, answer["Allow"], answer.json()["code"]) == (405, "GET, HEAD", "method_not_allowed")


@pytest.mark.parametrize("context", ["", "ordering"])
def test_a_command_prints_it(context):
    out = StringIO()
    call_command("openapi", *(["--context", context] if context else []), stdout=out)
    assert out.getvalue().encode() == as_json(context) + b"\n"


def test_the_page_of_problem_codes_is_what_the_document_says():
    out = StringIO()
    call_command("openapi", "--problem-codes", stdout=out)
    page = (ROOT / "docs" / "problem-codes.md").read_text()
    assert page == out.getvalue(), (
        "renew it: .venv/bin/python manage.py openapi --problem-codes > docs/problem-codes.md"
    )


def test_the_page_has_every_code_that_an_operation_answers(whole):
    page = problem_page(whole)
    codes = {
        (code, status)
        for operation in operations(whole).values()
        for status, found in codes_of(whole, operation).items()
        for code in found
    }
    assert len(codes) > 50
    assert [pair for pair in codes if f"| `{pair[0]}` | {pair[1]} | " not in page] == []
