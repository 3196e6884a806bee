"""Tokens that our own key has signed, and that are no access tokens all the same: what a leaked signer, a careless
colleague or a later version might make. `test_forged_tokens` comes in.
"""

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

from shop.sharding.public_ids import public_id
from tests.security import forgeries as forged
from tests.security import forgeries_damaged as damaged
from tests.security.forgeries import claims, header, part, raw, signature, signed

WORDS = ("exp", "iat", "jti", "iss", "aud", "sub", "role", "sid", "token_type")
NO_NUMBERS: tuple[Any, ...] = ("1e99", "9999999999", [9_999_999_999], {"at": 1}, 9_999_999_999.5, float("nan"))
BEYOND: tuple[Any, ...] = (10**400, 10**19, 1 << 63, 253_402_300_800, float("inf"), 1e300)
NO_TEXTS: tuple[Any, ...] = (7, -(10**30), 1.5, True, [], ["x"], {}, {"a": [1]})


def _word(random: Random) -> str:
    return f"{random.getrandbits(64):x}"


def _with(random: Random, **changes: Any) -> str:
    return signed(claims(jti=_word(random)) | changes)


def expired(random: Random) -> str:
    age = random.choice([1, 60, 301, 86_400, 10**9])
    return _with(random, exp=int(time.time()) - age, iat=int(time.time()) - age - 300)


def expired_before_the_clock_began(random: Random) -> str:
    return _with(random, exp=random.choice([0, -1, -(1 << 63), -(10**30), -(10**400), True, 1.5]))


def never_expiring(random: Random) -> str:
    return _with(random, exp=random.choice([*NO_NUMBERS, *BEYOND, "never", None]))


def not_yet_made(random: Random) -> str:
    later = int(time.time()) + random.choice([60, 86_400, 10**9])
    return _with(random, **random.choice([{"iat": later}, {"nbf": later}, {"iat": later, "nbf": later}]))


def made_at_no_time(random: Random) -> str:
    times: list[Any] = [10**400, "now", [], {}, float("inf"), float("nan")]
    return _with(
        random, **random.choice([{"iat": random.choice([*times, -1, -(10**400)])}, {"nbf": random.choice(times)}])
    )


def another_issuer(random: Random) -> str:
    return _with(random, iss=random.choice(["bank", "", "shop ", "SHOP", "shop/", ["shop"], 7, {"shop": 1}]))


def another_audience(random: Random) -> str:
    return _with(random, aud=random.choice(["bank", "", "shop ", "Shop", ["bank"], [], ["shop", 7], {"shop": 1}, 7]))


def a_claim_missing(random: Random) -> str:
    return signed(claims(**{"jti": _word(random), random.choice(WORDS): None}))


def a_claim_of_another_type(random: Random) -> str:
    name = random.choice(["jti", "iss", "sub", "role", "sid", "token_type"])
    return _with(random, **{name: random.choice(NO_TEXTS)})


def roles_that_are_none(random: Random) -> str:
    roles = random.choice(["superuser", {"superuser": True}, 7, [7], [["superuser"]], [None], [{"a": 1}], True])
    return _with(random, role="staff", sub=public_id("stf", 7), roles=roles)


def another_subject(random: Random) -> str:
    mine, other = public_id("cus", 7), public_id("cus", random.getrandbits(62))
    other = other[:-1] + ("0" if other[-1] != "0" else "1")
    return _with(
        random,
        sub=random.choice(["", "7", other, mine.lower(), mine + " ", mine + "\n", public_id("prd", 7), f"stf_{mine}"]),
    )


def one_role_with_the_other_ones_id(random: Random) -> str:
    changes: list[dict[str, Any]] = [
        {"role": "staff", "roles": ["superuser"]},
        {"sub": public_id("stf", 7)},
        {"role": "service", "sub": public_id("stf", 7), "roles": ["superuser"]},
        {"role": "Customer"},
        {"role": "superuser"},
    ]
    return _with(random, **random.choice(changes))


def another_kind(random: Random) -> str:
    return _with(random, token_type=random.choice(["refresh", "sliding", "Access", "access ", "", "service"]))


def an_unknown_key(random: Random) -> str:
    kid = header()["kid"]
    name = random.choice(
        [
            None,
            "",
            kid[:-1],
            f"{kid} ",
            kid.swapcase(),
            "../../../../dev/null",
            "/proc/self/environ",
            "x' UNION SELECT 'key' --",
            "key; id",
            "http://127.0.0.1:1/jwks.json",
            _word(random),
            7,
            [kid],
            {"kid": kid},
            True,
        ]
    )
    return signed(claims(jti=_word(random)), header(kid=name))


def a_header_that_asks_for_more(random: Random) -> str:
    more: dict[str, Any] = random.choice(
        [
            {"crit": ["exp"], "exp": 1},
            {"crit": ["b64"], "b64": False},
            {"b64": False},
            {"crit": []},
            {"crit": "b64"},
            {"crit": [7]},
            {"crit": ["shop"], "shop": 1},
            {"zip": "DEF"},
            {"cty": "JWT"},
            {"enc": "A128GCM"},
            {"jku": "https://keys.example/"},
            {"jwk": {"kty": "oct", "k": "AA"}},
            {"x5u": "https://keys.example/"},
        ]
    )
    return signed(claims(jti=_word(random)), header(**more))


def no_claims_at_all(random: Random) -> str:
    body = random.choice([b"", b"null", b"[]", b"7", b'"x"', b"{}", b"{", b"\xff", b"[" * 900, b'{"exp": NaN}', b"\0"])
    return signed(body)


def a_claim_twice(random: Random) -> str:
    """What was signed says one thing and, to another reader, another."""
    head, body = part(header()), json.dumps(claims(jti=_word(random)))
    doubled = body[:-1] + random.choice([', "role": "staff"}', f', "sub": "{public_id("cus", 8)}"}}', ', "exp": 9e9}'])
    return f"{head}.{part(doubled.encode())}.{part(raw(signature(f'{head}.{part(body.encode())}')))}"


def more_rights_under_the_old_signature(random: Random) -> str:
    first, _, last = forged.good(random).split(".")
    changes: list[dict[str, Any]] = [
        {"role": "staff", "sub": public_id("stf", 7), "roles": ["superuser"]},
        {"sub": public_id("cus", random.getrandbits(62))},
        {"exp": int(time.time()) + 10**8},
    ]
    return f"{first}.{part(claims(**random.choice(changes)))}.{last}"


CLASSES: tuple[Callable[[Random], str], ...] = (
    forged.without_algorithm,
    forged.algorithm_that_is_no_name,
    forged.hmac_with_the_public_key,
    forged.rsa_instead,
    forged.another_curve,
    forged.foreign_key,
    forged.foreign_key_that_it_brings_along,
    forged.signature_of_nothing,
    forged.signature_in_another_form,
    forged.signature_of_another_token,
    forged.no_signature,
    damaged.bit_of_the_header,
    damaged.bit_of_the_claims,
    damaged.bit_of_the_signature,
    damaged.cut_short,
    damaged.more_parts,
    damaged.written_otherwise,
    damaged.too_long,
    damaged.no_token,
    damaged.beyond_ascii,
    expired,
    expired_before_the_clock_began,
    never_expiring,
    not_yet_made,
    made_at_no_time,
    another_issuer,
    another_audience,
    a_claim_missing,
    a_claim_of_another_type,
    roles_that_are_none,
    another_subject,
    one_role_with_the_other_ones_id,
    another_kind,
    an_unknown_key,
    a_header_that_asks_for_more,
    no_claims_at_all,
    a_claim_twice,
    more_rights_under_the_old_signature,
)
