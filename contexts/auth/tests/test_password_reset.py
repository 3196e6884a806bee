"""Stories of a forgotten password: `POST /password-reset`, the mail, `POST /password-reset/confirm`."""

import re
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client

from contexts.auth.contract import SessionsRevoked
from contexts.auth.models import Customer, PasswordReset
from contexts.auth.services import purge_resets, resets
from contexts.auth.tests.people import PASSWORD, at_once, bearing, post, refreshed, refusal, registered, tokens_of
from shop.events.models import OutboxEvent
from shop.gateway.tokens import verify
from shop.mail.models import Mail
from shop.sharding import alias_of, aliases_of, shard_atomic
from tests.capturing import statements_on_shards
from tests.mail_server import send_what_waits

OTHER = "another horse, same battery"
TOKEN = re.compile(r"rst_\w+\.[0-9a-f]{64}")
NOBODY = "nobody@mail.test"
IN_THREADS = pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)


@pytest.fixture
def email(client):
    return registered(client, "ada@mail.test")["email"]


@pytest.fixture
def asked(client, mailoutbox):
    """Ask for a new password and read the mails; gives the tokens that came."""

    def ask(email):
        answer = post(client, "password-reset", email=email)
        assert (answer.status_code, answer.content) == (202, b"")
        return received(mailoutbox)

    return ask


def received(mailoutbox):
    send_what_waits("auth")
    tokens = [token for mail in mailoutbox for token in TOKEN.findall(mail.body)]
    mailoutbox.clear()
    return tokens


def confirm(client, token, new=OTHER):
    return post(client, "password-reset/confirm", token=token, new_password=new)


@pytest.fixture
def clock(monkeypatch):
    """Moves the time that resets go by."""

    def move(**by):
        class Later(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + timedelta(**by)

        monkeypatch.setattr(resets, "datetime", Later)

    return move


def rows(model):
    return [row for alias in aliases_of("auth") for row in model.objects.using(alias)]


# ---- the way through


def test_who_has_forgotten_a_password_gets_a_mail_and_sets_another(client, email, asked):
    [token] = asked(email)
    answer = confirm(client, token)
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(post(client, "token", email=email, password=PASSWORD)) == (401, "invalid_credentials")
    assert post(client, "token", email=email, password=OTHER).status_code == 200


def test_the_mail_goes_to_the_address_of_the_account_however_it_was_written(client, email, mailoutbox):
    post(client, "password-reset", email=f"  {email.upper()} ")
    send_what_waits("auth")
    [mail] = mailoutbox
    assert (mail.to, mail.subject) == ([email], "Choose a new password")
    assert "30 minutes" in mail.body


def test_with_a_page_of_a_storefront_the_mail_holds_a_link_to_it(client, email, mailoutbox, settings):
    page = "https://shop.test/new-password#{token}"
    settings.CONTEXT_SETTINGS = {**settings.CONTEXT_SETTINGS, "PASSWORD_RESET_URL": page}
    post(client, "password-reset", email=email)
    send_what_waits("auth")
    [mail] = mailoutbox
    [token] = TOKEN.findall(mail.body)
    assert f"\nhttps://shop.test/new-password#{token}\n" in mail.body
    assert confirm(client, token).status_code == 204


def test_a_reset_ends_every_sign_in_and_tells_so_once(client, email, asked):
    desk, phone = (tokens_of(post(client, "token", email=email, password=PASSWORD)) for _ in range(2))
    [token] = asked(email)
    assert client.get("/api/v1/auth/me", headers=bearing(desk)).status_code == 200
    confirm(client, token)
    for tokens in (desk, phone):
        assert refusal(refreshed(client, tokens)) == (401, "token_invalid")
    who = verify(desk["access"])
    told = OutboxEvent.objects.using(alias_of("auth", who.key)).filter(key=who.id, topic=SessionsRevoked.topic())
    sessions = {verify(tokens["access"]).session_id for tokens in (desk, phone)}
    assert [set(row.payload["session_ids"]) for row in told] == [sessions]


def test_nobody_elses_password_changes(client, email, asked):
    other = registered(client)["email"]
    [token] = asked(email)
    confirm(client, token)
    assert post(client, "token", email=other, password=PASSWORD).status_code == 200


# ---- single use, void, too old


def test_a_token_is_good_once(client, email, asked):
    [token] = asked(email)
    confirm(client, token)
    assert refusal(confirm(client, token, new="yet another horse")) == (422, "token_invalid")
    assert post(client, "token", email=email, password=OTHER).status_code == 200


def test_a_new_request_makes_the_older_ones_void_at_once(client, email, asked):
    [first] = asked(email)
    post(client, "password-reset", email=email)  # its mail is not even sent
    assert refusal(confirm(client, first)) == (422, "token_invalid")


def test_of_two_requests_before_any_mail_goes_out_the_last_one_is_mailed(client, email, mailoutbox):
    for _ in range(2):
        post(client, "password-reset", email=email)
    [token] = received(mailoutbox)
    assert confirm(client, token).status_code == 204
    assert [row.state for row in rows(Mail)] == ["sent"]


def test_a_changed_password_makes_the_token_void(client, email, asked):
    [token] = asked(email)
    tokens = tokens_of(post(client, "token", email=email, password=PASSWORD))
    body = {"current_password": PASSWORD, "new_password": OTHER}
    client.post("/api/v1/auth/me/password", body, content_type="application/json", headers=bearing(tokens))
    assert refusal(confirm(client, token, new="yet another horse")) == (422, "token_invalid")


@pytest.mark.parametrize(("seconds", "answer"), [(29 * 60 + 50, 204), (30 * 60 + 1, 422)])
def test_a_token_is_good_for_thirty_minutes(email, asked, clock, seconds, answer):
    [token] = asked(email)
    clock(seconds=seconds)
    assert confirm(Client(), token).status_code == answer


def test_a_mail_that_could_not_go_out_in_time_is_not_sent(client, email, mailoutbox, clock):
    post(client, "password-reset", email=email)
    clock(minutes=31)
    assert (received(mailoutbox), rows(Mail)) == ([], [])


def test_old_resets_are_forgotten(client, email, asked, clock):
    [token] = asked(email)
    asked(NOBODY)
    assert purge_resets() == 0
    clock(minutes=31)
    assert purge_resets() == 2
    assert refusal(confirm(client, token)) == (422, "token_invalid")


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda token: token.partition(".")[0],
        lambda token: token[:-1],
        lambda token: token + "x",
        lambda token: token.upper(),
        lambda token: token.replace("rst_", "fam_"),
        lambda token: token.replace("rst_", "rst_0"),
        lambda token: token + "é😀",
        lambda token: token * 1_000,
    ],
)
def test_what_is_no_token_of_ours_is_refused_costs_no_hash_and_harms_nobody(client, email, asked, monkeypatch, damage):
    [token] = asked(email)
    hashed = []
    with monkeypatch.context() as watched:
        watched.setattr(Argon2PasswordHasher, "encode", lambda *_, **__: hashed.append(1) or "")
        answer = confirm(client, damage(token))
    assert refusal(answer) == (422, "token_invalid")
    assert [(fault["field"], fault["code"]) for fault in answer.json()["errors"]] == [("token", "token_invalid")]
    assert hashed == []
    assert confirm(client, token).status_code == 204


def test_the_secret_of_somebody_elses_token_is_refused(client, email, asked):
    [mine], [other] = asked(email), asked(registered(client)["email"])
    mixed = mine.partition(".")[0] + "." + other.partition(".")[2]
    assert refusal(confirm(client, mixed)) == (422, "token_invalid")


@pytest.mark.parametrize("weak", ["", "short", "p" * 11, "p" * 129, "1q2w3e4r5t6y"])
def test_a_weak_password_is_refused_and_the_token_stays_good(client, email, asked, weak):
    [token] = asked(email)
    answer = confirm(client, token, new=weak)
    assert refusal(answer) == (422, "password_too_weak")
    assert [fault["field"] for fault in answer.json()["errors"]] == ["new_password"]
    assert confirm(client, token).status_code == 204


def test_a_key_is_ignored(client, email, mailoutbox):
    for _ in range(2):
        body, headers = {"email": email}, {"Idempotency-Key": "same"}
        answer = client.post("/api/v1/auth/password-reset", body, content_type="application/json", headers=headers)
        assert (answer.status_code, "Idempotent-Replay" in answer.headers) == (202, False)
    [token] = received(mailoutbox)
    body = {"token": token, "new_password": OTHER}
    said = [
        client.post("/api/v1/auth/password-reset/confirm", body, content_type="application/json", headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in said] == [204, 422]


# ---- nobody learns who is a customer


@pytest.mark.parametrize("given", [NOBODY, "", "no address", "x" * 254, "ada@mail.test@mail.test"])
def test_whoever_is_no_customer_gets_the_same_answer_and_no_mail(client, email, asked, given):
    assert asked(given) == []
    assert rows(Mail) == []


def test_the_databases_are_asked_the_same_for_a_customer_and_for_nobody(client, email):
    def kinds(address):
        post(client, "password-reset", email=address)  # there is an older one in both cases
        with statements_on_shards("auth") as found:
            assert post(client, "password-reset", email=address).status_code == 202
        return Counter(re.sub(r"'[^']*'|\d+", "?", sql).split(" WHERE ")[0][:60] for sql in found)

    assert kinds(email) == kinds(NOBODY)


@pytest.mark.parametrize("address", ["ada@mail.test", NOBODY])
def test_asking_too_often_for_one_address_is_refused_whoever_s_it_is(client, email, address):
    answers = [post(client, "password-reset", email=address) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert refusal(answers[-1]) == (429, "rate_limited")
    assert 3_500 < int(answers[-1].headers["Retry-After"]) <= 3_601
    # and others can ask
    assert post(client, "password-reset", email="eve@mail.test").status_code == 202


def test_confirming_is_limited_by_address(client, settings):
    settings.RATE_LIMITS = {"auth": (3, 60)}
    answers = [confirm(client, "rst_nothing.x") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]


# ---- secrets


def test_no_token_is_stored_anywhere(client, email, asked):
    post(client, "token", email=email, password=PASSWORD)
    stored = [repr(vars(row)) for row in rows(Mail) + rows(PasswordReset)]
    [token] = asked(email)
    secret = token.partition(".")[2]
    stored += [repr(vars(row)) for model in (Mail, PasswordReset, OutboxEvent) for row in rows(model)]
    assert len(stored) >= 2
    assert all(secret not in text and email not in text for text in stored)


def test_the_reset_lies_in_the_bucket_of_its_customer(client, email, asked):
    asked(email)
    [row] = rows(PasswordReset)
    [customer] = rows(Customer)
    assert (row.customer_id, row._state.db) == (customer.pk, alias_of("auth", customer.pk))


def test_a_mail_of_before_the_shop_s_key_changed_is_not_sent(client, email, mailoutbox, settings):
    """Its token would not be the one whose hash is stored."""
    post(client, "password-reset", email=email)
    settings.SECRET_KEY = "another one"
    assert received(mailoutbox) == []


def test_a_mail_that_is_sent_again_holds_the_same_token(client, email, asked):
    [token] = asked(email)
    [row] = rows(Mail)
    letter = resets.write_to_customer(row.about)
    assert TOKEN.findall(letter.text) == [token]


# ---- at once


@IN_THREADS
def test_of_four_who_confirm_one_token_at_once_one_wins(client, email, asked):
    [token] = asked(email)
    answers = at_once(4, lambda number: confirm(Client(), token, new=f"horse number {number} of four"))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 422: 3}
    winner = [answer.status_code for answer in answers].index(204)
    assert post(client, "token", email=email, password=f"horse number {winner} of four").status_code == 200


@IN_THREADS
def test_of_four_requests_at_once_one_token_is_good(client, email, mailoutbox):
    at_once(4, lambda _: post(Client(), "password-reset", email=email))
    assert len(rows(PasswordReset)) == 1
    [token] = received(mailoutbox)
    assert confirm(client, token).status_code == 204


@IN_THREADS
def test_a_sign_in_with_the_old_password_does_not_slip_through_behind_the_reset(client, email, asked):
    [token] = asked(email)

    def act(number):
        if number:
            return confirm(Client(), token)
        return post(Client(), "token", email=email, password=PASSWORD)

    signed_in, changed = at_once(2, act)
    assert changed.status_code == 204
    if signed_in.status_code == 200:
        assert refusal(refreshed(client, tokens_of(signed_in))) == (401, "token_invalid")
    else:
        assert refusal(signed_in) == (401, "invalid_credentials")


def test_an_account_that_is_gone_meanwhile_is_refused(client, email, asked):
    [token] = asked(email)
    [customer] = rows(Customer)
    with shard_atomic("auth", customer.pk):
        Customer.objects.filter(pk=customer.pk).delete()
    assert refusal(confirm(client, token)) == (422, "token_invalid")
