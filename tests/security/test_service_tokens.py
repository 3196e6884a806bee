"""Calls between processes are believed by their token alone: a context's own, for this call, of this minute."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from shop.contract import Service, query
from shop.gateway.tokens import mint
from shop.services import identity, public_keys
from shop.services.identity import vouch
from shop.services.keys import key_ring
from shop.services.transport.http import DEADLINE
from shop.services.transport.http.connections import Answer, NoAnswer
from tests.contract.over_http import Here
from tests.plugin import make_principal

pytestmark = pytest.mark.once

BODY = b'{"ids":["1"]}'
METHOD = "/_svc/catalog/v1/cups"
STRANGER = ec.generate_private_key(ec.SECP256R1())


class Kiosk(Service):
    context = "catalog"

    @query(callers=("ordering",))
    def cups(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        raise NotImplementedError


class Shelf(Kiosk):
    asked = 0

    def cups(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        self.asked += 1
        return tuple(ids)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def post(shelf):
    here = Here(Kiosk, shelf)

    def send(authorization, body=BODY, time_left="1000"):
        headers = {"Content-Type": "application/json", "Authorization": authorization, DEADLINE: time_left}
        return here.send("POST", METHOD, body, headers, seconds=1)

    return send


def claims(**changed):
    now = int(time.time())
    digest = hashlib.sha256(BODY).hexdigest()
    usual = {"iss": "ordering", "aud": "service:catalog", "sub": "cups", "iat": now, "exp": now + 60, "sha256": digest}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def signed(by="ordering", kid=None, key=None, algorithm="ES256", **changed):
    ring = key_ring(by)
    kid = ring.signing if kid is None else kid
    return jwt.encode(claims(**changed), key or ring.private[ring.signing], algorithm=algorithm, headers={"kid": kid})


def written(*parts):
    """What looks like a token, of a header and of claims; the signature is none."""
    texts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
    return ".".join(urlsafe_b64encode(text).rstrip(b"=").decode() for text in [*texts, b"none"])


def in_the_past(seconds):
    now = int(time.time()) - seconds
    return {"iat": now, "exp": now + 60}


FORGED = {
    "nothing": lambda: "",
    "no token": lambda: "abc",
    "not three parts": lambda: "a.b",
    "a very long one": lambda: "a" * 100_000,
    "an access token of staff": lambda: mint(make_principal("staff", "superuser")),
    "signed by nobody": lambda: signed(key=STRANGER),
    "signed by another context": lambda: signed(by="auth", kid=key_ring("ordering").signing),
    "signed by another context, under its key": lambda: signed(by="auth"),
    "a key that nobody has": lambda: signed(kid="none"),
    "not signed": lambda: jwt.encode(claims(), "", algorithm="none", headers={"kid": key_ring("ordering").signing}),
    "signed with the public key as a secret": lambda: jwt.encode(
        claims(),
        key_ring("ordering").public[key_ring("ordering").signing].public_numbers().x.to_bytes(32),
        algorithm="HS256",
        headers={"kid": key_ring("ordering").signing},
    ),
    "from a context that there is not": lambda: signed(iss="tea"),
    "from the outside": lambda: signed(iss="../auth"),
    "for another context": lambda: signed(aud="service:auth"),
    "for the public": lambda: signed(aud="shop"),
    "for all": lambda: signed(aud=["service:auth", "service:ordering"]),
    "for another method": lambda: signed(sub="reserve"),
    "for another body": lambda: signed(sha256="0" * 64),
    "for no body": lambda: signed(sha256=None),
    "without its time": lambda: signed(iat=None),
    "without an end": lambda: signed(exp=None),
    "over": lambda: signed(**in_the_past(70)),
    "good for a day": lambda: signed(iat=int(time.time()) - 3_600, exp=int(time.time()) + 86_400),
    "of tomorrow": lambda: signed(**in_the_past(-86_400)),
    "a time that is a text": lambda: signed(iat="now"),
    "a time that is a list": lambda: signed(iat=[1]),
    "an issuer that is a list": lambda: written({"alg": "ES256", "kid": "a"}, {"iss": ["ordering"]}),
    "a header that is a list": lambda: written(b"[1]", claims()),
    "a header without a key": lambda: written({"alg": "ES256"}, claims()),
    "a key that is a list": lambda: written({"alg": "ES256", "kid": ["a"]}, claims()),
    "claims that are a number": lambda: written({"alg": "ES256", "kid": "a"}, b"7"),
    "claims that are no text": lambda: written({"alg": "ES256", "kid": "a"}, b"\xff"),
    "a header that is very deep": lambda: written(b"[" * 1_200, b""),
    "parts that are not base64": lambda: "!.!.!",
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_forged_is_not_believed(what, post, shelf):
    answer = post(f"Bearer {FORGED[what]()}")
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "not_vouched_for")
    assert shelf.asked == 0


def test_a_good_one_is_and_is_worth_nothing_with_another_body(post, shelf):
    token = vouch("ordering", "catalog", "cups", BODY)
    assert post(f"Bearer {token}") == Answer(status=200, body=b'["1"]')
    assert post(f"Bearer {token}", b'{"ids":["2"]}').status == 401
    assert shelf.asked == 1


def test_a_caller_that_is_believed_and_not_named_is_refused(post, shelf):
    answer = post(f"Bearer {vouch('auth', 'catalog', 'cups', BODY)}")
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "caller_not_authorized")
    assert shelf.asked == 0


@pytest.mark.parametrize("left", ["", "-1", "1.5", "soon", "9" * 10, "٣"])
def test_a_call_has_to_say_how_much_time_is_left(left, post, shelf):
    answer = post(f"Bearer {vouch('ordering', 'catalog', 'cups', BODY)}", time_left=left)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "contract_mismatch")
    assert shelf.asked == 0


def test_a_call_without_time_is_not_begun(post, shelf):
    answer = post(f"Bearer {vouch('ordering', 'catalog', 'cups', BODY)}", time_left="0")
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "deadline_exceeded")
    assert shelf.asked == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"ids": 7}', b'{"ids": "ab"}', b'{"other": []}', b"\xff"])
def test_arguments_that_are_not_the_contracts_are_a_mismatch(body, post, shelf):
    answer = post(f"Bearer {vouch('ordering', 'catalog', 'cups', body)}", body)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "contract_mismatch")
    assert shelf.asked == 0


class Elsewhere:
    """Stands for the connections to another context, which says its public keys."""

    def __init__(self, *rings):
        self.rings = list(rings)
        self.asked = 0

    def __call__(self, url):
        return self

    def send(self, *_, **__):
        self.asked += 1
        ring = self.rings[min(self.asked, len(self.rings)) - 1]
        if ring is None:
            raise NoAnswer(timed_out=True)
        return Answer(status=200, body=json.dumps(ring).encode())


def ring_of(kid, key):
    return {"keys": [{**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "ES256"}]}


@pytest.fixture
def elsewhere(monkeypatch, settings):
    """Ordering lives elsewhere."""
    settings.CONTEXTS = ["auth", "catalog"]
    settings.CONTEXT_URLS = {"ordering": "http://ordering"}
    monkeypatch.setattr(public_keys, "_known", {})

    def say(*rings):
        found = Elsewhere(*rings)
        monkeypatch.setattr(public_keys, "Connections", found)
        return found

    return say


def test_keys_of_a_context_that_lives_elsewhere_are_asked_for_once(elsewhere, post):
    # given ordering, whose keys only its own process has
    asked = elsewhere(ring_of("one", STRANGER))
    # then its calls are believed, others are not, and it is not asked again for each
    assert [post(f"Bearer {signed(kid='one', key=STRANGER)}").status for _ in range(3)] == [200] * 3
    assert [post(f"Bearer {signed(kid=str(n), key=STRANGER)}").status for n in range(9)] == [401] * 9
    assert asked.asked == 1


def test_a_new_key_is_asked_for_and_old_ones_outlast_an_outage(elsewhere, post, monkeypatch):
    new = ec.generate_private_key(ec.SECP256R1())
    asked = elsewhere(
        ring_of("one", STRANGER), None, {"keys": ring_of("one", STRANGER)["keys"] + ring_of("two", new)["keys"]}
    )
    monkeypatch.setattr(public_keys, "AGAIN_SECONDS", 0.0)
    assert post(f"Bearer {signed(kid='one', key=STRANGER)}").status == 200
    # when it does not answer, then what is known holds, and whoever comes with another key comes again
    assert post(f"Bearer {signed(kid='two', key=new)}").status == 503
    assert post(f"Bearer {signed(kid='one', key=STRANGER)}").status == 200
    # when it does
    assert post(f"Bearer {signed(kid='two', key=new)}").status == 200
    assert asked.asked == 3


def test_a_clock_that_is_a_little_wrong_does_no_harm(post, monkeypatch):
    for ahead in (-3, 3):
        token = signed(**in_the_past(-ahead))
        assert post(f"Bearer {token}").status == 200
    assert identity.EARLY_SECONDS > 3
