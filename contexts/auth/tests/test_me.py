"""Stories of a customer's own account: `GET /me`, `PATCH /me`; and of what stands at the addresses of auth."""

import pytest

from contexts.auth.tests.people import bearing, refusal, registered, signed_in, staff, staff_signed_in
from tests.plugin import bearer, make_principal

ME = "/api/v1/auth/me"


def patch(client, tokens, **body):
    return client.patch(ME, body, content_type="application/json", headers=bearing(tokens))


def test_a_customer_sees_itself(client):
    tokens = signed_in(client)
    answer = client.get(ME, headers=bearing(tokens))
    assert answer.status_code == 200
    assert answer.json().keys() == {"id", "email", "name", "created_at"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_customer_changes_its_name(client):
    tokens = signed_in(client)
    answer = patch(client, tokens, name="  Ada Lovelace ")
    assert (answer.status_code, answer.json()["name"]) == (200, "Ada Lovelace")
    assert client.get(ME, headers=bearing(tokens)).json() == answer.json()


def test_an_empty_change_changes_nothing(client):
    tokens = signed_in(client)
    patch(client, tokens, name="Ada")
    answer = patch(client, tokens)
    assert (answer.status_code, answer.json()["name"]) == (200, "Ada")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": None}, ("name", "null")),
        ({"name": 7}, ("name", "invalid")),
        ({"name": "n" * 201}, ("name", "max_length")),
        ({"email": "other@example.org"}, ("email", "unknown_field")),
        ({"id": "cus_1"}, ("id", "unknown_field")),
    ],
)
def test_a_change_that_is_not_as_documented_is_refused(client, body, fault):
    answer = patch(client, signed_in(client), **body)
    assert refusal(answer) == (422, "unknown_field" if fault[1] == "unknown_field" else "invalid")
    assert [(found["field"], found["code"]) for found in answer.json()["errors"]] == [fault]


def test_nobody_is_nobody(client):
    answer = client.get(ME)
    assert refusal(answer) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_staff_are_no_customers(client):
    tokens = staff_signed_in(client, staff(is_superuser=True))
    assert refusal(client.get(ME, headers=bearing(tokens))) == (403, "forbidden")
    assert refusal(patch(client, tokens, name="x")) == (403, "forbidden")


def test_a_token_whose_account_is_gone_is_refused(client):
    gone = bearer(make_principal())
    assert refusal(client.get(ME, **gone)) == (401, "token_invalid")
    answer = client.patch(ME, {"name": "x"}, content_type="application/json", **gone)
    assert refusal(answer) == (401, "token_invalid")


def test_nobody_sees_anybody_else(client):
    registered(client, name="Eve")
    tokens = signed_in(client)
    assert client.get(ME, headers=bearing(tokens)).json()["name"] == ""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("get", "register", "POST"),
        ("get", "token", "POST"),
        ("delete", "staff/token", "POST"),
        ("put", "token/refresh", "POST"),
        ("get", "token/revoke", "POST"),
        ("post", "me", "DELETE, GET, HEAD, PATCH"),
    ],
)
def test_another_method_is_refused_by_name(client, method, path, allowed):
    answer = getattr(client, method)(f"/api/v1/auth/{path}")
    assert refusal(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["register", "token", "staff/token", "token/refresh", "token/revoke"])
def test_a_body_that_is_no_json_is_refused(client, path):
    address = f"/api/v1/auth/{path}"
    assert refusal(client.post(address, "{", content_type="application/json")) == (400, "malformed_json")
    assert refusal(client.post(address, {"a": 1})) == (415, "unsupported_media_type")
    assert refusal(client.post(address, "[]", content_type="application/json"))[0] == 422
