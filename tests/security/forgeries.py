"""Forged signatures of access tokens by class: a function each, which gives any number that differ. And good tokens.

`test_forged_tokens` and the other forgeries come in.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from shop.services.keys import key_ring
from shop.sharding.public_ids import public_id

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the curve P-256
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

type Json = dict[str, Any]


def claims(**changes: Any) -> Json:
    """Of a good token of a customer, unless changed; None leaves one out."""
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
        "sid": public_id("fam", 7),
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def part(value: Any) -> str:
    """One of the three parts: bytes as they are, everything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(**changes: Any) -> Json:
    """Of a good token, unless changed; None leaves one out."""
    good = {"alg": "ES256", "kid": key_ring().signing, "typ": "JWT", **changes}
    return {name: value for name, value in good.items() if value is not None}


def signature(text: str, key: Any = None) -> tuple[int, int]:
    """The two numbers of a signature, ours unless ``key`` says otherwise."""
    key = key or key_ring().private[key_ring().signing]
    return decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))


def raw(numbers: tuple[int, int]) -> bytes:
    """A signature as tokens carry it."""
    return b"".join((number % (1 << 256)).to_bytes(32) for number in numbers)


def signed(body: Any = None, head: Any = None, key: Any = None) -> str:
    """A token that is right in all but what is given."""
    text = f"{part(header() if head is None else head)}.{part(claims() if body is None else body)}"
    return f"{text}.{part(raw(signature(text, key)))}"


def unsigned(body: Json, head: Json, sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    text = f"{part(head)}.{part(body)}"
    return f"{text}.{part(sign(text.encode()))}"


def good(random: Random) -> str:
    """Not forged: what each forgery would be if it were not for the one thing that its name says."""
    return signed(claims(jti=word(random)))


def word(random: Random, length: int = 12) -> str:
    """Letters that a token may be made of."""
    return "".join(random.choices(LETTERS, k=length))


def parts(random: Random) -> list[str]:
    """The three parts of a good token."""
    return good(random).split(".")


@cache
def _foreign(number: int, curve: str = "P-256") -> Any:
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[curve])


@cache
def _rsa() -> Any:
    return rsa.generate_private_key(65_537, 2_048)


@cache
def _public_texts(kid: str) -> list[bytes]:
    """The public key in every form that somebody might take for a shared secret."""
    key = key_ring().public[kid]
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    return [
        pem,
        pem.strip(),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        json.dumps(jwk).encode(),
        json.dumps(key_ring().jwks()).encode(),
        b"",
        kid.encode(),
    ]


def without_algorithm(random: Random) -> str:
    name = random.choice(["none", "None", "NONE", "nOnE", "", "null", "plain"])
    last = random.choice(["", parts(random)[2], part(word(random).encode())])
    return unsigned(claims(jti=word(random)), header(alg=name)) + last


def algorithm_that_is_no_name(random: Random) -> str:
    head = header(alg=random.choice([None, 256, True, [], ["ES256"], {"alg": "ES256"}, "ES256\0", "es256", "ES256K"]))
    return signed(claims(jti=word(random)), head)


def hmac_with_the_public_key(random: Random) -> str:
    digest, name = random.choice([(hashlib.sha256, "HS256"), (hashlib.sha384, "HS384"), (hashlib.sha512, "HS512")])
    secret = random.choice(_public_texts(key_ring().signing))
    name = random.choice([name, name, "ES256"])
    return unsigned(claims(jti=word(random)), header(alg=name), lambda text: hmac.new(secret, text, digest).digest())


def rsa_instead(random: Random) -> str:
    name = random.choice(["RS256", "RS512", "PS256"])
    return jwt.encode(claims(jti=word(random)), _rsa(), algorithm=name, headers={"kid": key_ring().signing})


def another_curve(random: Random) -> str:
    curve, name = random.choice([("P-384", "ES384"), ("P-521", "ES512")])
    return jwt.encode(claims(jti=word(random)), _foreign(0, curve), name, headers={"kid": key_ring().signing})


def foreign_key(random: Random) -> str:
    return signed(claims(jti=word(random)), key=_foreign(random.randrange(8)))


def foreign_key_that_it_brings_along(random: Random) -> str:
    key = _foreign(random.randrange(8))
    jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "theirs"}
    kid = random.choice([key_ring().signing, "theirs", None])
    brought: Json = random.choice(
        [
            {"jwk": jwk},
            {"jku": "https://keys.example/jwks.json"},
            {"x5u": "https://keys.example/chain.pem"},
            {"x5c": [part(word(random, 200).encode())]},
            {"jwk": jwk, "jku": "http://127.0.0.1:1/", "x5t": word(random)},
        ]
    )
    return signed(claims(jti=word(random)), header(kid=kid, **brought), key)


def signature_of_nothing(random: Random) -> str:
    """Numbers that a careless verifier takes for right whatever was signed."""
    numbers = random.choice([(0, 0), (1, 0), (0, 1), (ORDER, ORDER), (ORDER, 1), (1, 1), (ORDER - 1, 1), (ORDER, 0)])
    first, second, _ = parts(random)
    return f"{first}.{second}.{part(raw(numbers))}"


def signature_in_another_form(random: Random) -> str:
    first, second, _ = parts(random)
    r, s = signature(f"{first}.{second}")
    forms = [
        encode_dss_signature(r, s),
        raw((s, r)),
        raw((r, s)) + b"\0",
        b"\0" + raw((r, s)),
        raw((r, s))[:32],
        raw((r, s)) * 2,
        raw((r + ORDER, s)),
        hex(r).encode() + hex(s).encode(),
    ]
    return f"{first}.{second}.{part(random.choice(forms))}"


def signature_of_another_token(random: Random) -> str:
    first, second, _ = parts(random)
    return f"{first}.{second}.{parts(random)[2]}"


def no_signature(random: Random) -> str:
    first, second, _ = parts(random)
    return random.choice(
        [f"{first}.{second}.", f"{first}.{second}", f"{first}..", f".{second}.", f"{first}.{second}.="]
    )
