"""Stories of erasing an account: `DELETE /me`, and what follows of it in auth."""

from collections import Counter

import pytest
from django.db import OperationalError
from django.test import Client

from contexts.auth.contract import CustomerErased, SessionsRevoked
from contexts.auth.models import Address, Customer, PasswordReset, RefreshToken, TokenFamily
from contexts.auth.services import erase_what_is_left, erasing, sessions
from contexts.auth.tests.people import (
    PASSWORD,
    at_once,
    bearing,
    new_email,
    post,
    refreshed,
    refusal,
    registered,
    tokens_of,
)
from shop.events.models import OutboxEvent
from shop.gateway.tokens import verify
from shop.http.limits import limits
from shop.sharding import alias_of, aliases_of
from shop.sharding.models import UniqueValue
from tests.plugin import bearer, make_principal

PLACE = "/api/v1/auth/me"
ADDRESS = {"name": "Ada", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}


def erase(client, tokens, password=PASSWORD, **more):
    body = {"password": password, **more}
    return client.delete(PLACE, body, content_type="application/json", headers=bearing(tokens))


def add_address(client, tokens):
    path = "/api/v1/auth/me/addresses"
    return client.post(path, ADDRESS, content_type="application/json", headers=bearing(tokens))


def customer_of(tokens):
    return verify(tokens["access"]).key


def told(tokens):
    """Events about the customer: topic and number."""
    key = customer_of(tokens)
    rows = OutboxEvent.objects.using(alias_of("auth", key)).filter(key=str(key)).order_by("topic", "event_seq")
    return [(row.topic, row.event_seq) for row in rows]


def owners_of(email):
    """Whose the address is, as all shards see it."""
    rows = (UniqueValue.objects.using(alias).filter(kind="email", value=email) for alias in aliases_of("auth"))
    return [row.target_id for found in rows for row in found]


def left_of(tokens):
    """Rows of the customer, by table."""
    key = customer_of(tokens)
    families = TokenFamily.objects.on(key).filter(account_id=key)
    return {
        "customer": Customer.objects.filter(pk=key).count(),
        "address": Address.objects.on(key).filter(customer_id=key).count(),
        "reset": PasswordReset.objects.on(key).filter(customer_id=key).count(),
        "family": families.count(),
        "token": RefreshToken.objects.on(key).filter(family__account_id=key).count(),
    }


NOTHING = {"customer": 0, "address": 0, "reset": 0, "family": 0, "token": 0}


@pytest.fixture
def person(client):
    """A customer's e-mail, and the tokens of a sign-in."""
    email = registered(client, name="Ada")["email"]
    tokens = tokens_of(post(client, "token", email=email, password=PASSWORD))
    assert add_address(client, tokens).status_code == 201
    assert post(client, "password-reset", email=email).status_code == 202
    return email, tokens


# ---- what it does


def test_an_erased_account_is_gone_at_once(client, person):
    email, tokens = person
    answer = erase(client, tokens)
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(post(client, "token", email=email, password=PASSWORD)) == (401, "invalid_credentials")
    assert refusal(refreshed(client, tokens)) == (401, "token_invalid")
    assert refusal(client.get(PLACE, headers=bearing(tokens))) == (401, "token_invalid")
    assert refusal(erase(client, tokens)) == (401, "token_invalid")
    assert left_of(tokens) == {**NOTHING, "family": 1, "token": 1}


def test_its_sign_ins_are_gone_when_the_event_was_handled(client, person):
    _, tokens = person
    erase(client, tokens)
    erase_what_is_left(customer_id=customer_of(tokens))
    assert left_of(tokens) == NOTHING


def test_it_is_told_once_and_so_are_its_sign_ins(client, person):
    _, tokens = person
    erase(client, tokens)
    topics = [(CustomerErased.topic(), 2), ("auth.customer_registered.v1", 1), (SessionsRevoked.topic(), 1)]
    assert told(tokens) == topics


def test_the_address_can_be_registered_anew_at_once_and_that_account_stays(client, person):
    email, tokens = person
    erase(client, tokens)
    anew = registered(client, email)
    # when the event comes late, and twice
    for _ in range(2):
        erase_what_is_left(customer_id=customer_of(tokens))
    signed_in = tokens_of(post(client, "token", email=email, password=PASSWORD))
    assert client.get(PLACE, headers=bearing(signed_in)).json()["id"] == anew["id"]


def test_nobody_elses_account_is_touched(client, person):
    others = [registered(client) for _ in range(6)]
    erase(client, person[1])
    erase_what_is_left(customer_id=customer_of(person[1]))
    for other in others:
        tokens = tokens_of(post(client, "token", email=other["email"], password=PASSWORD))
        assert client.get(PLACE, headers=bearing(tokens)).json() == other


# ---- what is refused


def test_with_another_password_nothing_happens(client, person):
    _, tokens = person
    assert refusal(erase(client, tokens, "another one entirely")) == (401, "invalid_credentials")
    assert client.get(PLACE, headers=bearing(tokens)).status_code == 200
    assert refreshed(client, tokens).status_code == 200


def test_guessing_is_limited_together_with_that_of_a_change(client, person, settings):
    _, tokens = person
    settings.RATE_LIMITS = {"login": (3, 300)}
    limits.cache_clear()
    for _ in range(2):
        assert refusal(erase(client, tokens, "another one entirely")) == (401, "invalid_credentials")
    body = {"current_password": "a third one entirely", "new_password": "a horse of another colour"}
    path = f"{PLACE}/password"
    answer = client.post(path, body, content_type="application/json", headers=bearing(tokens))
    assert refusal(answer) == (401, "invalid_credentials")
    answer = erase(client, tokens)
    assert refusal(answer) == (429, "rate_limited")
    assert int(answer["Retry-After"]) > 0


@pytest.mark.parametrize(("body", "code"), [({}, "required"), ({"password": 7}, "invalid")])
def test_a_body_without_a_password_is_named(client, person, body, code):
    answer = client.delete(PLACE, body, content_type="application/json", headers=bearing(person[1]))
    assert refusal(answer)[0] == 422
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [("password", code)]


def test_staff_have_no_account_of_this_kind(client):
    staff = make_principal("staff", "superuser")
    answer = client.delete(PLACE, {"password": PASSWORD}, content_type="application/json", **bearer(staff))
    assert refusal(answer) == (403, "forbidden")


# ---- what breaks off


def test_a_failure_in_the_middle_changes_nothing(client, person, monkeypatch):
    email, tokens = person
    before = left_of(tokens), told(tokens), owners_of(email)
    with monkeypatch.context() as patched:
        patched.setattr(erasing, "_delete", lambda _: 1 / 0)
        assert erase(client, tokens).status_code == 500
    assert (left_of(tokens), told(tokens), owners_of(email)) == before
    assert refreshed(client, tokens).status_code == 200


def test_an_address_whose_shard_is_away_is_freed_by_the_event(client, person, monkeypatch):
    email, tokens = person

    def away(*_):
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "free", away)
        assert erase(client, tokens).status_code == 204
    assert owners_of(email) == [customer_of(tokens)]
    erase_what_is_left(customer_id=customer_of(tokens))
    assert owners_of(email) == []


def test_a_sign_in_whose_account_is_erased_while_the_password_was_compared_does_not_come_about(
    client, person, monkeypatch
):
    email, tokens = person
    compare = sessions.verify_password

    def compare_and_lose_time(*arguments):
        fits = compare(*arguments)
        erasing.erase_account(customer_id=customer_of(tokens), password=PASSWORD)
        return fits

    monkeypatch.setattr(sessions, "verify_password", compare_and_lose_time)
    assert refusal(post(client, "token", email=email, password=PASSWORD)) == (401, "invalid_credentials")
    assert TokenFamily.objects.filter(account_id=customer_of(tokens), revoked_at=None).count() == 0


# ---- many at once

at_the_same_time = pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)


@at_the_same_time
@pytest.mark.parametrize("attempt", range(3))
def test_whatever_comes_at_the_same_time_is_erased_or_refused(client, person, attempt):
    email, tokens = person
    acts = [
        lambda: erase(Client(), tokens),
        lambda: refreshed(Client(), tokens),
        lambda: add_address(Client(), tokens),
        lambda: post(Client(), "token", email=email, password=PASSWORD),
        lambda: Client().patch(PLACE, {"name": "X"}, content_type="application/json", headers=bearing(tokens)),
    ]
    answers = at_once(len(acts), lambda number: acts[number]())
    assert answers[0].status_code == 204
    assert {answer.status_code for answer in answers[1:]} <= {200, 201, 401}
    # then nobody is signed in, and when the event was handled nothing is left
    assert TokenFamily.objects.filter(account_id=customer_of(tokens), revoked_at=None).count() == 0
    erase_what_is_left(customer_id=customer_of(tokens))
    assert left_of(tokens) == NOTHING
    assert owners_of(email) == []


@at_the_same_time
def test_of_four_erasures_at_once_one_is_told(client, person):
    _, tokens = person
    answers = at_once(4, lambda _: erase(Client(), tokens))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 401: 3}
    assert [topic for topic, _ in told(tokens)].count(CustomerErased.topic()) == 1


@at_the_same_time
def test_the_event_beside_a_refresh_leaves_nothing_and_nobody_waits_for_another(client, person):
    _, tokens = person
    erase(client, tokens)
    key = customer_of(tokens)

    def act(number):
        return refreshed(Client(), tokens).status_code if number else erase_what_is_left(customer_id=key)

    assert set(at_once(4, act)) <= {None, 401}
    assert left_of(tokens) == NOTHING


@at_the_same_time
def test_who_registers_the_address_while_it_is_erased_gets_it_or_is_told_that_it_is_taken(client):
    email = new_email()
    registered(client, email)
    tokens = tokens_of(post(client, "token", email=email, password=PASSWORD))

    def act(number):
        if number:
            return post(Client(), "register", email=email, password=PASSWORD)
        return erase(Client(), tokens)

    answers = at_once(3, act)
    assert answers[0].status_code == 204
    assert Counter(answer.status_code for answer in answers[1:])[201] <= 1
    assert {answer.status_code for answer in answers[1:]} <= {201, 409}
    again = post(client, "register", email=email, password=PASSWORD)
    assert again.status_code == (409 if 201 in {answer.status_code for answer in answers[1:]} else 201)
