"""Stories of opening an account: `POST /register`."""

import json
import re

import pytest

from contexts.auth.contract import CustomerRegistered
from contexts.auth.models import Customer
from contexts.auth.tests.people import PASSWORD, new_email, post, refusal, registered
from shop.events.models import OutboxEvent
from shop.sharding import alias_of, aliases_of
from shop.sharding.public_ids import number_of
from shop.sharding.unique import owner_of_value
from tests.shards import SHARDS


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


def test_who_registers_gets_an_account_and_no_tokens(client):
    answer = post(client, "register", email="ada@example.org", password=PASSWORD, name="Ada")
    assert answer.status_code == 201
    shown = answer.json()
    assert shown.keys() == {"id", "email", "name", "created_at"}
    assert (shown["email"], shown["name"]) == ("ada@example.org", "Ada")
    assert re.fullmatch(r"cus_[0-9A-Z]{14}", shown["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["created_at"])


def test_a_name_may_be_left_out(client):
    assert registered(client)["name"] == ""


def test_the_address_is_shown_as_it_is_stored(client):
    assert registered(client, "  Grace@Example.ORG ")["email"] == "grace@example.org"


def test_customers_lie_on_every_shard_each_in_the_bucket_of_its_id(client):
    numbers = []
    while {alias_of("auth", number) for number in numbers} < set(aliases_of("auth")):
        numbers.append(number_of("cus", registered(client)["id"]))
        assert len(numbers) < 20 * SHARDS, "a shard that gets nobody"
    for number in numbers:
        assert Customer.objects.using(alias_of("auth", number)).filter(pk=number).exists()


def test_the_password_is_stored_as_argon2id_of_owasp_s_size(client):
    number = number_of("cus", registered(client)["id"])
    stored = Customer.objects.get(pk=number).password
    assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("again", ["ada@example.org", "ADA@example.org", " ada@EXAMPLE.org "])
def test_a_second_account_with_the_same_address_is_refused(client, again):
    registered(client, "ada@example.org")
    answer = post(client, "register", email=again, password=PASSWORD)
    assert refusal(answer) == (409, "email_taken")


@pytest.mark.parametrize("password", ["", "eleven char", "p" * 129, "password1234", "QWERTY123456"], ids=len)
def test_a_weak_password_is_refused(client, password):
    answer = post(client, "register", email=new_email(), password=password)
    assert refusal(answer) == (422, "password_too_weak")
    assert faults(answer) == [("password", "password_too_weak")]


@pytest.mark.parametrize("password", ["twelve chars", "p" * 128, "пароль из слов 😀"], ids=len)
def test_a_password_of_any_script_from_twelve_to_128_characters_will_do(client, password):
    email = new_email()
    assert post(client, "register", email=email, password=password).status_code == 201
    assert post(client, "token", email=email, password=password).status_code == 200


def test_blanks_around_a_password_belong_to_it(client):
    email = new_email()
    post(client, "register", email=email, password=f" {PASSWORD} ")
    assert refusal(post(client, "token", email=email, password=PASSWORD)) == (401, "invalid_credentials")
    assert post(client, "token", email=email, password=f" {PASSWORD} ").status_code == 200


def test_what_is_no_address_is_refused_at_its_field(client):
    answer = post(client, "register", email="ada at example", password=PASSWORD)
    assert refusal(answer) == (422, "invalid_email")
    assert faults(answer) == [("email", "invalid_email")]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"password": PASSWORD}, ("email", "required")),
        ({"email": "a@example.org"}, ("password", "required")),
        ({"email": None, "password": PASSWORD}, ("email", "null")),
        ({"email": "a@example.org", "password": 123456789012}, ("password", "invalid")),
        ({"email": ["a@example.org"], "password": PASSWORD}, ("email", "invalid")),
        ({"email": "a@example.org", "password": PASSWORD, "name": "n" * 201}, ("name", "max_length")),
        ({"email": "a@example.org", "password": PASSWORD, "admin": True}, ("admin", "unknown_field")),
    ],
)
def test_a_body_that_is_not_as_documented_is_refused_at_the_field(client, body, fault):
    answer = post(client, "register", **body)
    assert refusal(answer) == (422, "unknown_field" if fault[1] == "unknown_field" else "invalid")
    assert faults(answer) == [fault]


def test_a_refused_registration_leaves_the_address_free(client):
    post(client, "register", email="ada@example.org", password="short")
    assert owner_of_value("auth", "email", "ada@example.org") is None


def test_a_token_that_comes_along_is_not_looked_at(client):
    body = json.dumps({"email": new_email(), "password": PASSWORD})
    answer = client.post(
        "/api/v1/auth/register",
        body,
        content_type="application/json",
        headers={"Authorization": "Bearer nonsense", "Idempotency-Key": "one"},
    )
    assert answer.status_code == 201


def test_the_same_key_does_not_bring_the_answer_back_to_an_anonymous_caller(client):
    body = json.dumps({"email": new_email(), "password": PASSWORD})
    first, second = (
        client.post(
            "/api/v1/auth/register",
            body,
            content_type="application/json",
            headers={"Idempotency-Key": "one"},
        )
        for _ in range(2)
    )
    assert first.status_code == 201
    assert refusal(second) == (409, "email_taken")


def test_the_event_names_the_customer_and_carries_nothing_personal(client):
    number = number_of("cus", registered(client, "ada@example.org", name="Ada")["id"])
    row = OutboxEvent.objects.using(alias_of("auth", number)).get(key=str(number))
    assert row.topic == CustomerRegistered.topic() == "auth.customer_registered.v1"
    assert (row.event_seq, row.payload) == (1, {"customer_id": str(number)})
