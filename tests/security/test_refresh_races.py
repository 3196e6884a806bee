"""1,000 refresh tokens, each shown four times at once: one wins, and then nobody has the sign-in any more."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from contexts.auth.contract import SessionsRevoked
from contexts.auth.models import RefreshToken, TokenFamily
from contexts.auth.services import sessions
from shop.events.models import OutboxEvent
from shop.sharding import aliases_of, shard_atomic
from tests.plugin import make_principal
from tests.security.calling import Answer, call

TOKENS = 1_000
COPIES = 4
EXPECTED = Counter({(200, ""): 1, (401, "token_reused"): COPIES - 1})

pytestmark = pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)


def sign_in() -> str:
    """The refresh token of a new sign-in of somebody."""
    account = make_principal().key
    with shard_atomic("auth", account):
        return sessions._open(account, TokenFamily.Role.CUSTOMER)[1]


def refresh(token: str) -> Answer:
    return call("POST", "/api/v1/auth/token/refresh", json.dumps({"refresh": token}).encode())


def at_once(tokens: list[str]) -> list[list[Answer]]:
    """Answers for each token, of as many threads that all show it at the same moment."""
    together = Barrier(COPIES)

    def show_all(_: int) -> list[Answer]:
        try:
            answers = []
            for token in tokens:
                together.wait(60)
                answers.append(refresh(token))
            return answers
        except BaseException:
            together.abort()  # the others would wait for this one
            raise
        finally:
            connections.close_all()

    with ThreadPoolExecutor(COPIES) as threads:
        return [list(each) for each in zip(*threads.map(show_all, range(COPIES)), strict=True)]


def test_of_four_at_once_one_wins_and_the_sign_in_is_over():
    # given many sign-ins, on every shard
    tokens = [sign_in() for _ in range(TOKENS)]
    assert all(TokenFamily.objects.using(alias).count() > TOKENS / 10 for alias in aliases_of("auth"))
    # when each refresh token is shown four times at once
    answers = at_once(tokens)
    # then one gets the next token, and three are told what happened
    outcomes = [Counter(answer.refusal for answer in each) for each in answers]
    print(f"\n{TOKENS} x {COPIES}: {dict(sum(outcomes, Counter()))}")
    assert [outcome for outcome in outcomes if outcome != EXPECTED] == []
    # and what the winner got is worth nothing any more, nor is the used one
    won = [answer.json["refresh"] for each in answers for answer in each if answer.status == 200]
    assert len(set(won)) == TOKENS
    assert Counter(refresh(token).refusal for token in won) == {(401, "token_invalid"): TOKENS}
    assert {refresh(token).refusal for token in tokens[:20]} == {(401, "token_reused")}
    # and each sign-in has ended once: two links, one event
    assert TokenFamily.objects.filter(revoked_at=None).across().count() == 0
    assert RefreshToken.objects.all().across().count() == 2 * TOKENS
    told = [list(OutboxEvent.objects.using(alias).values_list("topic", "event_seq")) for alias in aliases_of("auth")]
    assert Counter(event for part in told for event in part) == {(SessionsRevoked.topic(), 1): TOKENS}
