"""Who calls: a token for one request, signed by the calling context with its own key, for a minute.

It names the caller, whom it calls, the method and what the body is; with another body, for another method or another
context it is worth nothing. Sent again as it is, it makes the same call again, which a query and a command under its
key may be.
"""

import hashlib
import json
import time
from typing import Any, Final

import jwt
from jwt.utils import base64url_decode

from shop.contract import ContextError
from shop.services.keys import key_ring
from shop.services.public_keys import public_key

ALGORITHM: Final = "ES256"
GOOD_SECONDS: Final = 60
EARLY_SECONDS: Final = 5
"""Clocks differ."""
MAX_LENGTH: Final = 2_048
NEEDED: Final = {"iss": str, "aud": str, "sub": str, "iat": int, "exp": int, "sha256": str}


class NotVouchedFor(ContextError):
    """No token, or one that is not for this request. ``detail`` says why, for the caller's log."""

    code = "not_vouched_for"


def vouch(caller: str, callee: str, method: str, body: bytes) -> str:
    """A token for one call of ``method`` of ``callee``, signed by ``caller``, which this process hosts."""
    ring = key_ring(caller)
    now = int(time.time())
    claims = {
        "iss": caller,
        "aud": f"service:{callee}",
        "sub": method,
        "iat": now,
        "exp": now + GOOD_SECONDS,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return jwt.encode(claims, ring.private[ring.signing], algorithm=ALGORITHM, headers={"kid": ring.signing})


def vouched_caller(token: str, callee: str, method: str, body: bytes) -> str:
    """The context that vouches for this request.

    Raises:
        NotVouchedFor: None does.
    """
    claims = _claims(token, callee)
    if claims["sub"] != method:
        raise NotVouchedFor(detail="the token is for another method")
    if claims["sha256"] != hashlib.sha256(body).hexdigest():
        raise NotVouchedFor(detail="the token is for another body")
    now = time.time()
    if not now - GOOD_SECONDS - EARLY_SECONDS <= claims["iat"] <= now + EARLY_SECONDS:
        raise NotVouchedFor(detail="the token is too old, or from the future")
    return str(claims["iss"])


def _claims(token: str, callee: str) -> dict[str, Any]:
    """What a token says, that the context it names has signed."""
    if len(token) > MAX_LENGTH:
        raise NotVouchedFor(detail="no service token")
    try:
        header, said, *_ = token.split(".")
        claims = jwt.decode(
            token,
            public_key(_read(said)["iss"], _read(header)["kid"]),
            algorithms=[ALGORITHM],
            audience=f"service:{callee}",
            options={"require": list(NEEDED), "verify_iat": False},
            leeway=EARLY_SECONDS,
        )
    except (jwt.PyJWTError, LookupError, TypeError, ValueError):
        raise NotVouchedFor(detail="the token is not signed by a context of this shop for this one") from None
    if any(type(claims[name]) is not kind for name, kind in NEEDED.items()):
        raise NotVouchedFor(detail="the token is not written as ours are")
    return claims


def _read(part: str) -> Any:
    """What a part of a token says, which nobody has verified; the library would take both apart for either."""
    return json.loads(base64url_decode(part))
