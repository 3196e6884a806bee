"""Stories of signing in: `POST /token`, `POST /staff/token`."""

import jwt
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from contexts.auth.models import RefreshToken, TokenFamily
from contexts.auth.tests.people import (
    PASSWORD,
    bearing,
    post,
    refusal,
    registered,
    signed_in,
    staff,
    staff_signed_in,
)
from shop.gateway.tokens import verify
from shop.sharding import alias_of, bucket_of
from shop.sharding.public_ids import number_of, public_id
from tests.capturing import statements_on_shards


@pytest.fixture
def hashings(monkeypatch):
    """How often a password is hashed, to be stored or to be compared."""
    done = []
    for name in ("encode", "verify"):
        original = getattr(Argon2PasswordHasher, name)

        def counted(self, *arguments, original=original, name=name):
            done.append(name)
            return original(self, *arguments)

        monkeypatch.setattr(Argon2PasswordHasher, name, counted)
    return done


def claims(tokens):
    return jwt.decode(tokens["access"], options={"verify_signature": False})


def test_who_signs_in_gets_tokens_that_open_the_account(client):
    customer = registered(client)
    answer = post(client, "token", email=f" {customer['email'].upper()}", password=PASSWORD)
    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 300)
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/api/v1/auth/me", headers=bearing(answer.json())).json() == customer


def test_the_access_token_says_who_in_which_role_from_which_sign_in(client):
    tokens = signed_in(client)
    said = claims(tokens)
    assert said.keys() == {"token_type", "exp", "iat", "jti", "iss", "aud", "sub", "role", "sid"}
    assert (said["iss"], said["aud"], said["role"]) == ("shop", "shop", "customer")
    assert said["exp"] - said["iat"] == 300
    assert said["sub"].startswith("cus_")
    assert said["sid"] == tokens["refresh"].partition(".")[0]
    assert jwt.get_unverified_header(tokens["access"])["alg"] == "ES256"


@pytest.mark.parametrize("path", ["token", "staff/token"])
def test_unknown_address_and_wrong_password_get_the_same_answer_for_the_same_work(client, hashings, path):
    known = registered(client)["email"] if path == "token" else staff("read_only").email
    answers, works = [], []
    for email in (known, "nobody@example.org", "no address at all", ""):
        hashings.clear()
        answers.append(post(client, path, email=email, password="not the right one"))
        works.append(len(hashings))
    assert {refusal(answer) for answer in answers} == {(401, "invalid_credentials")}
    assert works == [1, 1, 1, 1]
    bodies = [{**answer.json(), "trace_id": ""} for answer in answers]
    assert bodies == [bodies[0]] * 4


def test_unknown_address_and_wrong_password_take_as_many_queries(client):
    used = []
    for email in (registered(client)["email"], "nobody@example.org"):
        with statements_on_shards("auth") as asked:
            post(client, "token", email=email, password="not the right one")
        used.append(len(asked))
    assert used == [2, 2]


@pytest.mark.parametrize("password", ["", "p" * 5_000, "pässwört 😀 \ud7ff"])
def test_an_odd_password_is_just_a_wrong_one(client, password):
    email = registered(client)["email"]
    assert refusal(post(client, "token", email=email, password=password)) == (401, "invalid_credentials")


def test_a_customer_can_not_sign_in_as_staff_nor_staff_as_a_customer(client):
    customer, account = registered(client), staff("read_only")
    for path, email in (("staff/token", customer["email"]), ("token", account.email)):
        assert refusal(post(client, path, email=email, password=PASSWORD)) == (401, "invalid_credentials")


@pytest.mark.parametrize("path", ["token", "staff/token"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "a@example.org"}, "password"),
        ({"password": PASSWORD}, "email"),
        ({"email": "a@example.org", "password": PASSWORD, "otp": "1"}, "otp"),
    ],
)
def test_a_body_that_is_not_as_documented_is_refused(client, path, body, field):
    answer = post(client, path, **body)
    assert refusal(answer) == (422, "unknown_field" if field == "otp" else "invalid")
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_staff_get_their_roles_in_the_token(client):
    account = staff("order_desk", "catalog_editor")
    said = claims(staff_signed_in(client, account))
    assert (said["role"], said["roles"]) == ("staff", ["catalog_editor", "order_desk"])
    assert said["sub"] == public_id("stf", account.pk)


def test_a_superuser_holds_all_roles(client):
    account = staff(is_superuser=True)
    assert verify(staff_signed_in(client, account)["access"]).may("catalog_editor")


def test_a_group_that_is_no_role_gives_no_right(client):
    account = staff("superuser", "night shift", "read_only")
    principal = verify(staff_signed_in(client, account)["access"])
    assert principal.roles == ("read_only",)
    assert not principal.may("order_desk")


def test_a_deactivated_account_is_refused_like_an_unknown_one(client, hashings):
    account = staff("read_only", is_active=False)
    hashings.clear()
    answer = post(client, "staff/token", email=account.email, password=PASSWORD)
    assert refusal(answer) == (401, "invalid_credentials")
    assert len(hashings) == 1


def test_a_sign_in_lies_in_the_bucket_of_its_account_staff_s_too(client):
    account = staff("read_only")
    for tokens, prefix in ((signed_in(client), "cus"), (staff_signed_in(client, account), "stf")):
        number = number_of(prefix, claims(tokens)["sub"])
        family_id = number_of("fam", claims(tokens)["sid"])
        assert bucket_of(family_id) == bucket_of(number)
        family = TokenFamily.objects.using(alias_of("auth", number)).get(pk=family_id)
        assert family.account_id == number


def test_only_a_hash_of_the_refresh_token_is_stored(client):
    name, _, secret = signed_in(client)["refresh"].partition(".")
    row = RefreshToken.objects.on(number_of("fam", name)).get()
    assert len(secret) == 43
    assert secret not in repr(vars(row))
    assert len(row.secret_hash) == 64
