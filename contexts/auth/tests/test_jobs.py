"""What auth forgets by itself, and when."""

from datetime import UTC, datetime, timedelta

import pytest

from contexts.auth.models import RefreshToken, TokenFamily
from contexts.auth.services import purge_sessions
from contexts.auth.tests.people import post, refreshed, refusal, signed_in, tokens_of
from shop.events.jobs import jobs_of, run_job
from shop.sharding import shard_atomic
from shop.sharding.public_ids import number_of


def family_of(tokens):
    return number_of("fam", tokens["refresh"].partition(".")[0])


def age(tokens, **fields):
    with shard_atomic("auth", family_of(tokens)):
        TokenFamily.objects.filter(pk=family_of(tokens)).update(**fields)


def left():
    return TokenFamily.objects.all().across().count(), RefreshToken.objects.all().across().count()


@pytest.fixture
def long_ago():
    return datetime.now(UTC) - timedelta(days=31)


def test_expired_sign_ins_go_from_every_shard_in_as_many_batches_as_it_takes(client, long_ago):
    for _ in range(9):
        age(signed_in(client), expires_at=long_ago)
    assert purge_sessions(batch=2) == 18
    assert left() == (0, 0)


def test_a_sign_in_that_is_alive_stays_with_all_its_tokens(client):
    tokens = tokens_of(refreshed(client, signed_in(client)))
    assert purge_sessions() == 0
    assert left() == (1, 2)
    assert refreshed(client, tokens).status_code == 200


def test_a_revoked_sign_in_stays_until_it_expires(client):
    first = signed_in(client)
    refreshed(client, first)
    post(client, "token/revoke", refresh=first["refresh"])
    purge_sessions()
    assert refusal(refreshed(client, first)) == (401, "token_reused")


def test_used_tokens_go_after_a_month_while_their_sign_in_goes_on(client, long_ago):
    first = signed_in(client)
    second = tokens_of(refreshed(client, first))
    with shard_atomic("auth", family_of(first)):
        RefreshToken.objects.filter(family_id=family_of(first), used_at__isnull=False).update(used_at=long_ago)
    assert purge_sessions() == 1
    assert refusal(refreshed(client, first)) == (401, "token_invalid")
    assert refreshed(client, second).status_code == 200


def test_the_job_comes_round_every_hour(client, long_ago):
    age(signed_in(client), expires_at=long_ago)
    job = next(job for job in jobs_of("auth") if job.name == "auth.forget_old_sessions")
    assert job.seconds == 3600
    assert run_job(job)
    assert left() == (0, 0)
