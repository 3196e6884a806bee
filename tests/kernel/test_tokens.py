"""Access tokens and their keys: what is accepted, and all that is not."""

import base64
import hashlib
import hmac
import json
import os
import stat
import time
from functools import partial
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from jwt.algorithms import ECAlgorithm

from shop.contract import Principal
from shop.gateway import tokens
from shop.gateway.tokens import CLAIMS, TokenExpiredError, TokenInvalidError, mint, verify
from shop.services import keys
from shop.services.keys import key_ring
from shop.settings import write_once
from shop.sharding.public_ids import public_id
from tests.plugin import make_principal

pytestmark = pytest.mark.once

FOREIGN = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(autouse=True)
def ring(settings, tmp_path):
    """A ring of this test's own."""
    settings.SIGNING_KEYS = str(tmp_path / "keys" / "test.jwks")
    return key_ring()


def claims(**changes):
    """Of a good token, unless changed; None leaves one out."""
    now = int(time.time())
    good = {
        "token_type": "access",
        "exp": now + 300,
        "iat": now,
        "jti": "j",
        "iss": "shop",
        "aud": "shop",
        "sub": public_id("cus", 7),
        "role": "customer",
        "sid": "fam_1",
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def signed(key=None, headers=None, algorithm="ES256", **changes):
    present = key_ring()
    headers = {"kid": present.signing} if headers is None else headers
    return jwt.encode(claims(**changes), key or present.private[present.signing], algorithm=algorithm, headers=headers)


def part(value):
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")


def by_hand(header, body, sign=lambda _: b""):
    text = part(header) + b"." + part(body)
    return (text + b"." + part(sign(text))).decode()


def hs256(secret):
    header = {"alg": "HS256", "typ": "JWT", "kid": key_ring().signing}
    return by_hand(header, claims(), lambda text: hmac.new(secret, text, hashlib.sha256).digest())


def public_pem():
    present = key_ring()
    return present.public[present.signing].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def other_character(text, position):
    return text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]


FORGERIES = {
    "nothing": lambda: "",
    "no token": lambda: "nonsense",
    "dots": lambda: "..",
    "four parts": lambda: signed() + ".x",
    "a header that is no JSON": lambda: "e30x." + signed().partition(".")[2],
    "a header that is a list": lambda: by_hand([], claims()),
    "a deep header": lambda: by_hand(b"[" * 1_500, claims()),
    "no algorithm": lambda: by_hand({"alg": "none", "kid": key_ring().signing}, claims()),
    "no algorithm, our signature": lambda: (
        by_hand({"alg": "none", "kid": key_ring().signing}, claims()) + signed().rpartition(".")[2]
    ),
    "HS256 with the public key": lambda: hs256(public_pem()),
    "HS256 with the published key": lambda: hs256(json.dumps(key_ring().jwks()["keys"][0]).encode()),
    "HS256 with nothing": lambda: hs256(b""),
    "a foreign key": lambda: signed(FOREIGN),
    "a foreign key under its own name": lambda: signed(FOREIGN, {"kid": "foreign"}),
    "a foreign key that it brings along": lambda: signed(
        FOREIGN, {"kid": "foreign", "jwk": ECAlgorithm.to_jwk(FOREIGN.public_key(), as_dict=True)}
    ),
    "another curve": lambda: signed(ec.generate_private_key(ec.SECP384R1()), algorithm="ES384"),
    "no kid": lambda: signed(headers={}),
    "a kid that is a path": lambda: signed(headers={"kid": "../../etc/passwd"}),
    "a kid that is a number": lambda: by_hand({"alg": "ES256", "kid": 1}, claims()),
    "a changed body": lambda: ".".join(
        [signed().split(".")[0], part(claims(role="staff")).decode(), signed().split(".")[2]]
    ),
    "a changed signature": lambda: other_character(signed(), -20),
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "another audience": lambda: signed(aud="bank"),
    "another issuer": lambda: signed(iss="bank"),
    "another kind": lambda: signed(token_type="refresh"),
    "made tomorrow": lambda: signed(iat=int(time.time()) + 86_400),
    "valid tomorrow": lambda: signed(nbf=int(time.time()) + 86_400),
    "a role there is not": lambda: signed(role="service"),
    "a role that is a list": lambda: signed(role=["customer"]),
    "a customer as staff": lambda: signed(role="staff", roles=["superuser"]),
    "staff as a customer": lambda: signed(sub=public_id("stf", 7)),
    "a damaged ID": lambda: signed(sub=public_id("cus", 7)[:-1]),
    "an ID that is a number": lambda: signed(sub="7"),
    "roles that are a word": lambda: signed(role="staff", sub=public_id("stf", 7), roles="superuser"),
    "too long": lambda: signed(jti="j" * 4_096),
    "not ASCII": lambda: signed() + "\u00e9",
    **{f"no {name}": partial(signed, **{name: None}) for name in CLAIMS},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_refused(forgery):
    with pytest.raises(TokenInvalidError):
        verify(forgery())


def test_the_forgeries_differ_from_a_good_token_in_what_their_names_say_only():
    assert verify(signed()) == Principal(id="7", role="customer", session_id="fam_1")


@pytest.mark.parametrize("principal", [make_principal(), make_principal("staff", "order_desk", "read_only")])
def test_what_was_minted_is_verified_as_the_same_principal_without_a_database(principal):
    assert verify(mint(principal)) == principal


def test_no_two_tokens_are_the_same():
    principal = make_principal()
    assert mint(principal) != mint(principal)


def test_a_token_that_was_good_once_is_told_apart():
    with pytest.raises(TokenExpiredError):
        verify(signed(exp=int(time.time()) - 1))


def test_an_expired_forgery_is_a_forgery():
    with pytest.raises(TokenInvalidError):
        verify(signed(FOREIGN, exp=int(time.time()) - 1))


def test_a_token_that_is_remembered_expires_too():
    token = signed(exp=int(time.time()) + 1)
    assert verify(token).id == "7"
    time.sleep(1.2)
    with pytest.raises(TokenExpiredError):
        verify(token)


def test_a_remembered_token_is_not_verified_again_and_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(tokens, "REMEMBERED", 3)
    minted = [mint(make_principal()) for _ in range(5)]
    for token in minted:
        verify(token)
    assert len(tokens._verified) == 3
    monkeypatch.setattr(tokens, "AccessToken", None)
    assert verify(minted[-1]).role == "customer"
    with pytest.raises(TypeError):
        verify(minted[0])


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "not_authenticated"),
        ("Basic YTpi", "not_authenticated"),
        ("Bearer", "not_authenticated"),
        ("Bearer nonsense", "token_invalid"),
        ("bearer nonsense", "token_invalid"),
    ],
)
def test_the_edge_answers_401_with_the_code_and_asks_for_a_token(header, code):
    answer = Client().get("/api/v1/auth/me", headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_the_edge_answers_401_token_expired():
    token = signed(exp=int(time.time()) - 1)
    answer = Client().get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


# ---- the key ring ----


def test_the_ring_is_made_once_for_its_owner_s_eyes_only(settings, ring):
    path = Path(settings.SIGNING_KEYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert key_ring().signing == ring.signing
    assert list(path.parent.iterdir()) == [path]


def test_who_makes_the_ring_second_keeps_the_first_one_s(settings, ring):
    write_once(Path(settings.SIGNING_KEYS), json.dumps({"keys": [keys._new_jwk()]}))
    assert key_ring().signing == ring.signing


def test_the_first_key_signs_and_all_verify(settings, ring):
    old = mint(make_principal())
    path = Path(settings.SIGNING_KEYS)
    former = json.loads(path.read_text())["keys"]
    path.write_text(json.dumps({"keys": [keys._new_jwk(), *former]}))
    os.utime(path, (1, 1))
    assert jwt.get_unverified_header(mint(make_principal()))["kid"] == key_ring().signing != ring.signing
    assert verify(old).role == "customer"
    path.write_text(json.dumps({"keys": [keys._new_jwk()]}))
    os.utime(path, (2, 2))
    with pytest.raises(TokenInvalidError):
        verify(signed(ring.private[ring.signing], {"kid": ring.signing}))


def test_a_ring_that_can_not_be_read_is_our_error_and_not_the_caller_s(settings):
    token = signed()
    path = Path(settings.SIGNING_KEYS)
    path.write_text("{")
    os.utime(path, (1, 1))
    answer = Client().get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


def test_anybody_can_check_a_token_with_the_published_keys():
    answer = Client().get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    published = jwt.PyJWKSet.from_dict(answer.json())
    token = mint(make_principal())
    key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"], audience="shop", issuer="shop")["role"] == "customer"


def test_only_the_public_half_is_published():
    published = Client().get("/.well-known/jwks.json").json()["keys"]
    assert [set(key) for key in published] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}]


def test_what_the_forms_guard_refuses_is_a_problem_too():
    answer = Client(enforce_csrf_checks=True).put("/livez")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")


def test_the_published_keys_can_only_be_read():
    answer = Client(enforce_csrf_checks=True).post("/.well-known/jwks.json", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert Client().head("/.well-known/jwks.json").status_code == 200
