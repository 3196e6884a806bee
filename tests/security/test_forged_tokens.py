"""20,000 forged access tokens through the whole way of a request: none is taken, none is a fault of ours."""

import hashlib
from collections import Counter
from random import Random

import pytest

from shop.gateway import tokens
from shop.gateway.tokens import verify
from tests.security import forgeries as forged
from tests.security.calling import call
from tests.security.forgeries_signed import CLASSES, expired, expired_before_the_clock_began

ALL = 20_000
EACH = ALL // len(CLASSES) + 1
SEED = 20_260_101
# one that customers may call, one that everybody may, one that staff may
WHERE = ("/api/v1/auth/me", "/api/v1/catalog/categories", "/api/v1/catalog/variants/var_00000000000000/stock")
EXPIRED = {expired, expired_before_the_clock_began}

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def ring(settings, tmp_path):
    """Keys of this test's own."""
    settings.SIGNING_KEYS = str(tmp_path / "keys" / "test.jwks")


def test_there_are_enough_of_enough_classes():
    assert len(set(CLASSES)) == len(CLASSES) >= 14
    assert EACH * len(CLASSES) >= ALL


@pytest.mark.parametrize("forge", CLASSES, ids=lambda forge: forge.__name__)
def test_none_of_a_class_is_taken(forge):
    # given tokens of the class, at operations for every kind of caller, without a database that could be asked
    random, answers = Random(f"{SEED} {forge.__name__}"), Counter()
    # when each is shown
    for number in range(EACH):
        answer = call("GET", WHERE[number % 3], token=forge(random))
        answers[*answer.refusal, answer.headers.get("WWW-Authenticate", "")[:7]] += 1
    # then each is refused, with the code that the API promises
    print(f"\n{forge.__name__}: {EACH:,} x {dict(answers)}")
    assert set(answers) == {(401, "token_expired" if forge in EXPIRED else "token_invalid", "Bearer ")}


def test_what_they_are_made_from_is_taken():
    random = Random(SEED)
    assert {verify(forged.good(random)).role for _ in range(100)} == {"customer"}


def test_nothing_of_a_forgery_is_remembered():
    before = dict(tokens._verified)
    for forge in CLASSES:
        call("GET", WHERE[0], token=forge(Random(SEED)))
    assert dict(tokens._verified) == before


def test_the_other_signature_of_the_same_token_says_the_same_and_no_more():
    """Beside (r, s) there is (r, n - s), which is as good, and whoever holds a token can write it.

    It is no second sign-in: the same claims until the same moment, and what is ended is a sign-in, not a text.
    """
    first, second, _ = forged.good(Random(SEED)).split(".")
    r, s = forged.signature(f"{first}.{second}")
    texts = [f"{first}.{second}.{forged.part(forged.raw((r, each)))}" for each in (s, forged.ORDER - s)]
    verified = [verify(text) for text in texts]
    assert verified[0] == verified[1]
    ends = [tokens._verified[hashlib.sha256(text.encode()).digest()][0] for text in texts]
    assert ends[0] == ends[1]
