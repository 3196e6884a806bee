"""Stories of changing a password: `POST /me/password`."""

import time
from collections import Counter

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client

from contexts.auth.contract import SessionsRevoked
from contexts.auth.models import Customer, TokenFamily
from contexts.auth.services import sessions
from contexts.auth.services.passwords import change_password
from contexts.auth.tests.people import (
    PASSWORD,
    at_once,
    bearing,
    post,
    refreshed,
    refusal,
    registered,
    signed_in,
    staff,
    staff_signed_in,
    tokens_of,
)
from shop.events.models import OutboxEvent
from shop.gateway.tokens import verify
from shop.sharding import alias_of, aliases_of
from tests.plugin import bearer, make_principal

PLACE = "/api/v1/auth/me/password"
OTHER = "another horse, same battery"


def change(client, tokens, current=PASSWORD, new=OTHER, **headers):
    body = {"current_password": current, "new_password": new}
    return client.post(PLACE, body, content_type="application/json", headers={**bearing(tokens), **headers})


def customer_of(tokens):
    return verify(tokens["access"]).key


def stored(tokens):
    return Customer.objects.get(pk=customer_of(tokens)).password


def session_of(tokens):
    return verify(tokens["access"]).session_id


def alive(tokens):
    """How many sign-ins of the account could still be refreshed."""
    return TokenFamily.objects.filter(account_id=customer_of(tokens), revoked_at=None).count()


def revocations(tokens):
    """What was published of the account's sign-ins: (number of the event, sessions)."""
    rows = OutboxEvent.objects.using(alias_of("auth", customer_of(tokens)))
    found = rows.filter(key=str(customer_of(tokens)), topic=SessionsRevoked.topic()).order_by("event_seq")
    return [(row.event_seq, set(row.payload["session_ids"])) for row in found]


@pytest.fixture
def person(client):
    """A customer's e-mail, and two sign-ins: at the desk and on the phone."""
    email = registered(client)["email"]
    return email, *(tokens_of(post(client, "token", email=email, password=PASSWORD)) for _ in range(2))


# ---- the change


def test_after_the_change_the_new_password_opens_the_account_and_the_old_one_does_not(client, person):
    email, desk, _ = person
    answer = change(client, desk)
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(post(client, "token", email=email, password=PASSWORD)) == (401, "invalid_credentials")
    assert post(client, "token", email=email, password=OTHER).status_code == 200


def test_the_change_ends_every_sign_in_the_callers_own_too(client, person):
    _, desk, phone = person
    change(client, desk)
    for tokens in (desk, phone):
        assert refusal(refreshed(client, tokens)) == (401, "token_invalid")


def test_the_sign_ins_that_ended_are_told_in_one_event(client, person):
    _, desk, phone = person
    change(client, desk)
    assert revocations(desk) == [(1, {session_of(desk), session_of(phone)})]


def test_a_sign_in_that_had_ended_before_is_not_told_again(client, person):
    _, desk, phone = person
    post(client, "token/revoke", refresh=phone["refresh"])
    change(client, desk)
    assert revocations(desk) == [(1, {session_of(phone)}), (2, {session_of(desk)})]


def test_a_change_that_ends_no_sign_in_tells_nothing(client, person):
    _, desk, phone = person
    for tokens in (desk, phone):
        post(client, "token/revoke", refresh=tokens["refresh"])
    assert change(client, desk).status_code == 204
    assert len(revocations(desk)) == 2


def test_who_signs_in_after_the_change_stays_signed_in(client, person):
    email, desk, _ = person
    change(client, desk)
    anew = tokens_of(post(client, "token", email=email, password=OTHER))
    assert refreshed(client, anew).status_code == 200


def test_nobody_elses_sign_in_ends(client, person):
    _, desk, _ = person
    others = [signed_in(client) for _ in range(4)]
    change(client, desk)
    assert [refreshed(client, tokens).status_code for tokens in others] == [200] * 4


def test_only_a_hash_of_the_new_password_is_stored(client, person):
    _, desk, _ = person
    before = stored(desk)
    change(client, desk)
    assert stored(desk).startswith("argon2$argon2id$")
    assert stored(desk) != before
    assert OTHER not in stored(desk)


# ---- what is refused


@pytest.mark.parametrize(
    "wrong", ["", "not the right one", f" {PASSWORD}", f"{PASSWORD} ", PASSWORD.upper(), "p" * 5_000, "😀"]
)
def test_who_does_not_know_the_current_password_changes_nothing(client, person, wrong):
    _, desk, phone = person
    before = stored(desk)
    assert refusal(change(client, desk, current=wrong)) == (401, "invalid_credentials")
    assert stored(desk) == before
    assert revocations(desk) == []
    assert refreshed(client, phone).status_code == 200


@pytest.mark.parametrize("weak", ["", "short", "p" * 11, "p" * 129, "p" * 5_000, "1q2w3e4r5t6y"])
def test_a_weak_password_is_refused_by_name_and_never_repeated(client, person, weak):
    _, desk, phone = person
    before = stored(desk)
    answer = change(client, desk, new=weak)
    assert refusal(answer) == (422, "password_too_weak")
    assert [(fault["field"], fault["code"]) for fault in answer.json()["errors"]] == [
        ("new_password", "password_too_weak")
    ]
    assert not weak or weak not in answer.content.decode()
    assert stored(desk) == before
    assert refreshed(client, phone).status_code == 200


def test_a_weak_password_is_told_before_the_current_one_is_looked_at(client, person, monkeypatch):
    _, desk, _ = person
    hashed = []
    monkeypatch.setattr(Argon2PasswordHasher, "verify", lambda *_: hashed.append(1))
    assert refusal(change(client, desk, current="wrong", new="short")) == (422, "password_too_weak")
    assert hashed == []


@pytest.mark.parametrize("length", [12, 128])
def test_the_shortest_and_the_longest_password_are_taken_blanks_included(client, person, length):
    email, desk, _ = person
    password = " " + "é" * (length - 2) + " "
    assert change(client, desk, new=password).status_code == 204
    assert post(client, "token", email=email, password=password).status_code == 200


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"new_password": OTHER}, ("current_password", "required")),
        ({"current_password": PASSWORD}, ("new_password", "required")),
        ({"current_password": PASSWORD, "new_password": None}, ("new_password", "null")),
        ({"current_password": 7, "new_password": OTHER}, ("current_password", "invalid")),
        ({"current_password": PASSWORD, "new_password": [OTHER]}, ("new_password", "invalid")),
        ({"current_password": PASSWORD, "new_password": OTHER, "email": "x@example.org"}, ("email", "unknown_field")),
    ],
)
def test_a_body_that_is_not_as_documented_is_refused(client, person, body, fault):
    _, desk, _ = person
    answer = client.post(PLACE, body, content_type="application/json", headers=bearing(desk))
    assert refusal(answer) == (422, "unknown_field" if fault[1] == "unknown_field" else "invalid")
    assert [(found["field"], found["code"]) for found in answer.json()["errors"]] == [fault]
    assert alive(desk) == 2


@pytest.mark.parametrize("body", ["{", '{"new_password": "a\\u0000b"}', '{"new_password": "\\ud800"}'])
def test_what_is_no_json_is_refused(client, person, body):
    _, desk, _ = person
    answer = client.post(PLACE, body, content_type="application/json", headers=bearing(desk))
    assert refusal(answer) == (400, "malformed_json")


def test_nobody_staff_and_accounts_that_are_gone_have_no_password_here(client):
    body = {"current_password": PASSWORD, "new_password": OTHER}
    clerk = staff_signed_in(client, staff(is_superuser=True))
    assert refusal(client.post(PLACE, body, content_type="application/json")) == (401, "not_authenticated")
    assert refusal(change(client, clerk)) == (403, "forbidden")
    gone = client.post(PLACE, body, content_type="application/json", **bearer(make_principal()))
    assert refusal(gone) == (401, "token_invalid")


def test_an_idempotency_key_is_ignored(client, person):
    """So nothing is kept of a request that holds two passwords."""
    _, desk, _ = person
    assert change(client, desk, **{"Idempotency-Key": "k"}).status_code == 204
    again = change(client, desk, **{"Idempotency-Key": "k"})
    assert refusal(again) == (401, "invalid_credentials")
    assert not again.has_header("Idempotent-Replay")


# ---- in between


def test_a_sign_in_whose_password_is_changed_while_it_was_compared_does_not_come_about(client, person, monkeypatch):
    email, desk, _ = person
    compare = sessions.verify_password

    def compare_and_lose_time(*arguments):
        fits = compare(*arguments)
        change_password(customer_id=customer_of(desk), current_password=PASSWORD, new_password=OTHER)
        return fits

    monkeypatch.setattr(sessions, "verify_password", compare_and_lose_time)
    assert refusal(post(client, "token", email=email, password=PASSWORD)) == (401, "invalid_credentials")
    assert alive(desk) == 0


def test_a_failure_in_the_middle_changes_neither_password_nor_sign_ins(client, person, monkeypatch):
    _, desk, phone = person
    before = stored(desk)
    with monkeypatch.context() as patched:
        patched.setattr(sessions, "publish", lambda *_, **__: 1 / 0)
        assert change(client, desk).status_code == 500
    assert (stored(desk), revocations(desk), alive(desk)) == (before, [], 2)
    assert refreshed(client, phone).status_code == 200


# ---- many at once

at_the_same_time = pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)


@at_the_same_time
@pytest.mark.parametrize("attempt", range(4))
def test_a_change_while_all_sign_ins_refresh_leaves_none_alive(client, person, attempt):
    email, desk, phone = person
    third = tokens_of(post(client, "token", email=email, password=PASSWORD))
    acts = [lambda: change(Client(), desk)]
    acts += [lambda tokens=tokens: refreshed(Client(), tokens) for tokens in (desk, phone, third)]
    answers = at_once(4, lambda number: acts[number]())
    assert answers[0].status_code == 204
    assert alive(desk) == 0
    for answer in answers[1:]:
        assert answer.status_code in (200, 401)
        if answer.status_code == 200:
            assert refusal(refreshed(client, tokens_of(answer))) == (401, "token_invalid")


@at_the_same_time
@pytest.mark.parametrize("attempt", range(4))
def test_a_change_while_others_sign_in_with_the_old_password_leaves_none_of_them_in(client, person, attempt):
    email, desk, _ = person

    def act(number):
        return post(Client(), "token", email=email, password=PASSWORD) if number else change(Client(), desk)

    answers = at_once(4, act)
    assert answers[0].status_code == 204
    assert alive(desk) == 0
    assert {answer.status_code for answer in answers[1:]} <= {200, 401}


@at_the_same_time
def test_of_four_changes_at_once_one_wins(client, person):
    email, desk, _ = person
    answers = at_once(4, lambda number: change(Client(), desk, new=f"{OTHER} {number}"))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 401: 3}
    winner = next(number for number, answer in enumerate(answers) if answer.status_code == 204)
    assert post(client, "token", email=email, password=f"{OTHER} {winner}").status_code == 200
    assert len(revocations(desk)) == 1


@at_the_same_time
def test_a_change_while_a_replay_ends_a_sign_in_tells_of_each_sign_in_once(client, person, monkeypatch):
    _, desk, phone = person
    publish = sessions.publish

    def publish_late(*arguments, **named):
        time.sleep(0.3)  # long enough for the other one to come to the same rows
        publish(*arguments, **named)

    monkeypatch.setattr(sessions, "publish", publish_late)
    refreshed(client, phone)  # used up: the next time it is a replay

    answers = at_once(2, lambda number: refreshed(Client(), phone) if number else change(Client(), desk))
    assert answers[0].status_code == 204
    assert refusal(answers[1]) == (401, "token_reused")
    told = [session for _, ended in revocations(desk) for session in ended]
    assert sorted(told) == sorted([session_of(desk), session_of(phone)])
