"""Stories of the refresh token: `POST /token/refresh`, `POST /token/revoke`."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group

from contexts.auth.contract import SessionsRevoked
from contexts.auth.models import TokenFamily
from contexts.auth.tests.people import (
    bearing,
    post,
    refreshed,
    refusal,
    signed_in,
    staff,
    staff_signed_in,
    tokens_of,
)
from shop.events.models import OutboxEvent
from shop.gateway.tokens import verify
from shop.sharding import shard_atomic
from shop.sharding.public_ids import number_of, public_id
from shop.sharding.router import staff_home


def family_of(tokens):
    return number_of("fam", tokens["refresh"].partition(".")[0])


def change(tokens, **fields):
    family = family_of(tokens)
    with shard_atomic("auth", family):
        TokenFamily.objects.filter(pk=family).update(**fields)


def revocations(tokens):
    """What was published of the account's sign-ins, oldest first."""
    account = verify(tokens["access"])
    family = TokenFamily.objects.get(pk=family_of(tokens))
    rows = OutboxEvent.objects.using(family._state.db).filter(key=account.id, topic=SessionsRevoked.topic())
    return [(row.event_seq, row.payload["session_ids"]) for row in rows.order_by("event_seq")]


def test_a_refresh_gives_new_tokens_of_the_same_sign_in(client):
    first = signed_in(client)
    second = tokens_of(refreshed(client, first))
    assert second["refresh"] != first["refresh"]
    assert second["access"] != first["access"]
    assert verify(second["access"]) == verify(first["access"])
    assert client.get("/api/v1/auth/me", headers=bearing(second)).status_code == 200


def test_every_refresh_gives_another_thirty_days(client):
    tokens = signed_in(client)
    change(tokens, expires_at=datetime.now(UTC) + timedelta(minutes=1))
    refreshed(client, tokens)
    left = TokenFamily.objects.get(pk=family_of(tokens)).expires_at - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


def test_a_used_token_that_comes_again_ends_the_whole_family(client):
    first = signed_in(client)
    second = tokens_of(refreshed(client, first))
    assert refusal(refreshed(client, first)) == (401, "token_reused")
    assert refusal(refreshed(client, second)) == (401, "token_invalid")


def test_reuse_is_told_to_the_other_contexts_once(client):
    first = signed_in(client)
    second = tokens_of(refreshed(client, first))
    for tokens in (first, first, second):
        refreshed(client, tokens)
    assert revocations(first) == [(1, [public_id("fam", family_of(first))])]


def test_the_other_sign_ins_of_the_account_go_on(client):
    account = staff("read_only")
    desk, phone = staff_signed_in(client, account), staff_signed_in(client, account)
    refreshed(client, desk)
    refreshed(client, desk)
    assert refreshed(client, phone).status_code == 200


def test_events_of_an_account_are_numbered_over_all_its_sign_ins(client):
    account = staff("read_only")
    sign_ins = [staff_signed_in(client, account) for _ in range(3)]
    for tokens in sign_ins:
        post(client, "token/revoke", refresh=tokens["refresh"])
    assert [number for number, _ in revocations(sign_ins[0])] == [1, 2, 3]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda token: token.partition(".")[0],
        lambda token: token.partition(".")[0] + ".",
        lambda token: "." + token.partition(".")[2],
        lambda token: token + "x",
        lambda token: token[:-1],
        lambda token: token.lower(),
        lambda token: token.replace("fam_", "cus_"),
        lambda token: public_id("fam", 1) + "." + token.partition(".")[2],
        lambda token: token + "é😀",
        lambda token: token * 100,
    ],
)
def test_what_is_no_refresh_token_of_ours_is_refused_and_harms_nobody(client, damage):
    tokens = signed_in(client)
    assert refusal(post(client, "token/refresh", refresh=damage(tokens["refresh"]))) == (401, "token_invalid")
    assert post(client, "token/revoke", refresh=damage(tokens["refresh"])).status_code == 204
    assert refreshed(client, tokens).status_code == 200


def test_the_secret_of_another_sign_in_is_refused(client):
    mine, other = signed_in(client), signed_in(client)
    mixed = mine["refresh"].partition(".")[0] + "." + other["refresh"].partition(".")[2]
    assert refusal(post(client, "token/refresh", refresh=mixed)) == (401, "token_invalid")


def test_an_access_token_is_no_refresh_token(client):
    tokens = signed_in(client)
    assert refusal(post(client, "token/refresh", refresh=tokens["access"])) == (401, "token_invalid")


def test_an_expired_token_is_refused(client):
    tokens = signed_in(client)
    change(tokens, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert refusal(refreshed(client, tokens)) == (401, "token_invalid")


@pytest.mark.parametrize("path", ["token/refresh", "token/revoke"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid"),
        ({"refresh": None}, "invalid"),
        ({"refresh": 7}, "invalid"),
        ({"refresh": "x", "all": True}, "unknown_field"),
    ],
)
def test_a_body_that_is_not_as_documented_is_refused(client, path, body, code):
    assert refusal(post(client, path, **body)) == (422, code)


def test_who_logs_out_can_not_refresh_any_more(client):
    tokens = signed_in(client)
    answer = post(client, "token/revoke", refresh=tokens["refresh"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert refusal(refreshed(client, tokens)) == (401, "token_invalid")
    assert revocations(tokens) == [(1, [public_id("fam", family_of(tokens))])]


def test_logging_out_twice_is_told_once(client):
    tokens = signed_in(client)
    answers = [post(client, "token/revoke", refresh=tokens["refresh"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    assert len(revocations(tokens)) == 1


def test_logging_out_with_a_used_token_ends_the_sign_in_too(client):
    first = signed_in(client)
    second = tokens_of(refreshed(client, first))
    post(client, "token/revoke", refresh=first["refresh"])
    assert refusal(refreshed(client, second)) == (401, "token_invalid")


def test_staff_roles_are_those_of_the_refresh(client):
    account = staff("read_only")
    tokens = staff_signed_in(client, account)
    account.groups.set([Group.objects.using(staff_home()).get_or_create(name="order_desk")[0]])
    renewed = tokens_of(refreshed(client, tokens))
    assert verify(renewed["access"]).roles == ("order_desk",)


def test_a_deactivated_account_can_not_refresh(client):
    account = staff("read_only")
    tokens = staff_signed_in(client, account)
    account.is_active = False
    account.save()
    assert refusal(refreshed(client, tokens)) == (401, "token_invalid")


def test_a_deactivated_account_that_is_let_in_again_signs_in_anew(client, django_capture_on_commit_callbacks):
    account = staff("read_only")
    tokens = staff_signed_in(client, account)
    with django_capture_on_commit_callbacks(using=staff_home(), execute=True):
        for active in (False, True):
            account.is_active = active
            account.save()
    assert refusal(refreshed(client, tokens)) == (401, "token_invalid")
    assert refreshed(client, staff_signed_in(client, account)).status_code == 200


@pytest.mark.parametrize("path", ["token", "staff/token", "token/refresh"])
def test_answers_with_secrets_are_kept_nowhere(client, path):
    """Neither by a cache on the way nor under an Idempotency-Key."""
    account = staff("read_only")
    bodies = {
        "token": {"email": "x@example.org", "password": "x"},
        "staff/token": {"email": account.email, "password": "correct horse battery"},
        "token/refresh": {"refresh": staff_signed_in(client, account)["refresh"]},
    }
    answers = [
        client.post(
            f"/api/v1/auth/{path}",
            bodies[path],
            content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )
        for _ in range(2)
    ]
    assert all(answer.headers["Cache-Control"] == "no-store" for answer in answers)
    assert all("Idempotent-Replay" not in answer.headers for answer in answers)
    assert answers[0].content != answers[1].content
