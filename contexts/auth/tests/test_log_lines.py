"""No secret and nothing personal in what is logged, whichever way a request goes."""

import io
import json
import logging
import re

import pytest
from django.core import mail
from django.test import Client

from contexts.auth.models import Customer
from contexts.auth.services import customers
from contexts.auth.tests.people import PASSWORD as PEOPLE_PASSWORD
from contexts.auth.tests.people import bearing, post, refreshed, registered, staff, staff_signed_in, tokens_of
from shop.observability.logs import dict_config
from shop.sharding import new_id, shard_atomic
from tests.mail_server import send_what_waits

EMAIL, NAME, PASSWORD = "canary-ada@example.org", "Canary Lovelace", "canary battery staple"


@pytest.fixture
def lines():
    """What the process writes, as the formatter of the settings renders it."""
    config = dict_config("DEBUG")["formatters"]["json"]
    formatter = config.pop("()")(**config)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


def everything(client):
    """Every operation, well and badly used; gives the secrets that came up."""
    registered(client, EMAIL, name=NAME)
    for email, password in ((EMAIL, "canary wrong password"), ("canary-nobody@example.org", PASSWORD)):
        post(client, "token", email=email, password=password)
    post(client, "register", email=EMAIL, password="correct horse battery")
    post(client, "register", email="canary at example", password=PASSWORD)
    post(client, "register", email="canary-eve@example.org", password="canary")
    first = tokens_of(post(client, "token", email=EMAIL, password=PEOPLE_PASSWORD))
    second = tokens_of(refreshed(client, first))
    client.get("/api/v1/auth/me", headers=bearing(first))
    client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {first['access']}x"})
    keep_and_change(client, first)
    desk = staff_signed_in(client, staff("read_only", email="canary-desk@example.org"))
    refreshed(client, first)
    post(client, "token/revoke", refresh=second["refresh"])
    tokens = (first, second, desk)
    return [forgotten(client), *(tokens[kind] for tokens in tokens for kind in ("access", "refresh"))]


def forgotten(client):
    """A new password by mail, asked for and set well and badly; gives the token."""
    post(client, "password-reset", email="canary-nobody@example.org")
    post(client, "password-reset", email=EMAIL)
    send_what_waits("auth")
    token = re.findall(r"rst_\S+", mail.outbox[-1].body)[0]
    for given, new in (("rst_canary.canary", PASSWORD), (token, "canary"), (token, PASSWORD), (token, PASSWORD)):
        answer = post(client, "password-reset/confirm", token=given, new_password=new)
    assert answer.status_code == 422
    return token


def keep_and_change(client, tokens):
    """The operations behind `/me/`, well and badly used; the last ends every sign-in."""
    me, sent = "/api/v1/auth/me", {"content_type": "application/json", "headers": bearing(tokens)}
    address = {"name": NAME, "line1": "1 canary lane", "city": "canary", "postal_code": "canary", "country": "GB"}
    kept = client.post(f"{me}/addresses", address, **sent).json()["id"]
    client.post(f"{me}/addresses", address | {"country": "canary"}, **sent)
    client.patch(f"{me}/addresses/{kept}", {"line2": "canary"}, **sent)
    client.get(f"{me}/addresses?cursor=canary", headers=bearing(tokens))
    for current, new in (("canary wrong", PASSWORD), (PEOPLE_PASSWORD, "canary"), (PEOPLE_PASSWORD, PASSWORD)):
        answer = client.post(f"{me}/password", {"current_password": current, "new_password": new}, **sent)
    assert answer.status_code == 204


def leaks(text, secrets):
    canaries = ("canary", "Canary", "@example.org", "argon2", *secrets, *(s.partition(".")[2] for s in secrets))
    return [line for line in text.splitlines() if any(canary in line for canary in canaries)]


def test_no_operation_of_auth_logs_a_secret_or_an_address(client, lines):
    secrets = everything(client)
    text = lines.getvalue()
    assert text.count('"event": "request"') == 26
    assert "refresh_token_reused" in text
    assert "mail_sent" in text
    assert leaks(text, secrets) == []


def test_every_line_is_an_object_with_the_request_s_trace(client, lines):
    answer = post(client, "token", email=EMAIL, password=PASSWORD)
    line = json.loads(lines.getvalue().splitlines()[-1])
    assert line["trace_id"] == answer.headers["X-Request-ID"] == answer.json()["trace_id"]


def test_an_error_nobody_expected_is_logged_without_what_was_sent(lines, monkeypatch):
    def broken(password):
        raise RuntimeError("no more memory")

    monkeypatch.setattr(customers, "make_password", broken)
    answer = post(Client(), "register", email=EMAIL, password=PASSWORD, name=NAME)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "no more memory" in lines.getvalue()
    assert leaks(lines.getvalue(), []) == []


def test_a_constraint_that_the_database_reports_with_its_values_is_logged_without_them(lines, monkeypatch):
    """Two accounts of one address can't come about; if a bug makes them, PostgreSQL's message quotes the address."""
    number = new_id("auth", bucket=7)
    with shard_atomic("auth", number):
        Customer.objects.create(id=number, email=EMAIL, name=NAME, password="!")
    monkeypatch.setattr(customers, "new_id", lambda _: number + 1024)
    answer = post(Client(), "register", email=EMAIL, password="correct horse battery")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "IntegrityError" in lines.getvalue()
    assert leaks(lines.getvalue(), []) == []
