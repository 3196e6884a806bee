"""Access tokens: simplejwt's token class on our own key ring, verified without a database and remembered by digest."""

import hashlib
import re
import time
from collections import OrderedDict
from datetime import timedelta
from threading import Lock
from typing import Any, Final, cast

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError as SimpleExpiredTokenError
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken, TokenError
from rest_framework_simplejwt.tokens import Token

from shop.contract import Principal, UnauthenticatedError
from shop.contract.values import Role
from shop.gateway.revocation import deny_list
from shop.services.keys import key_ring
from shop.services.public_keys import public_key
from shop.sharding.public_ids import InvalidPublicId, number_of, public_id

ALGORITHM: Final = "ES256"
LIFETIME: Final = timedelta(minutes=5)
PREFIXES: Final[dict[str, str]] = {"customer": "cus", "staff": "stf"}
REMEMBERED: Final = 10_000
MAX_LENGTH: Final = 4_096
HEADER: Final = frozenset({"alg", "kid", "typ"})
CLAIMS: Final[dict[str, type]] = {
    "exp": int,
    "iat": int,
    "jti": str,
    "iss": str,
    "aud": str,
    "sub": str,
    "role": str,
    "sid": str,
    "token_type": str,
}
LAST_MOMENT: Final = 253_402_300_799  # the year 9999 ends; nothing later is a time to Python
# The signature's 64 bytes can be written in one way only: its last letter has four bits to spare, which are zero.
TEXT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")


class TokenInvalidError(UnauthenticatedError):
    """Not one of our tokens, damaged, or not meant for this."""

    code = "token_invalid"


class TokenExpiredError(UnauthenticatedError):
    """The access token's five minutes are over."""

    code = "token_expired"


class KeyRingBackend(TokenBackend):
    """simplejwt's backend with ``kid``, several keys, and every claim required."""

    def __init__(self) -> None:
        super().__init__(ALGORITHM, issuer=settings.TOKEN_ISSUER, audience=settings.TOKEN_AUDIENCE)

    def encode(self, payload: dict[str, Any]) -> str:
        """Sign ``payload`` with the ring's signing key."""
        ring = key_ring()
        claims = {**payload, "iss": self.issuer, "aud": self.audience}
        return jwt.encode(claims, ring.private[ring.signing], algorithm=ALGORITHM, headers={"kid": ring.signing})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Claims of ``token``.

        Raises:
            TokenBackendError: It is not one of ours.
        """
        if settings.STAFF_CONTEXT not in settings.CONTEXT_URLS:
            key_ring()  # not inside: a ring that can't be read is our fault, not the token's
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                public_key(settings.STAFF_CONTEXT, header["kid"]),
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                options={"require": list(CLAIMS), "verify_signature": verify},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenBackendExpiredToken("expired") from error
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise TokenBackendError("invalid") from error
        if not (header.keys() <= HEADER and _has_the_types_of_ours(claims)):
            raise TokenBackendError("invalid")
        return claims


def _has_the_types_of_ours(claims: dict[str, Any]) -> bool:
    """Whether each claim is what `mint` writes: a library may read a number in a text, or a time without end."""
    if any(type(claims[name]) is not kind for name, kind in CLAIMS.items()):
        return False
    roles = claims.get("roles", [])
    texts = isinstance(roles, list) and all(isinstance(role, str) for role in roles)
    return texts and bool(0 <= claims["iat"] <= claims["exp"] <= LAST_MOMENT)


class AccessToken(Token):
    """What a request carries: who, in which role, from which sign-in."""

    token_type = "access"  # noqa: S105  simplejwt's name for the kind
    lifetime = LIFETIME

    def get_token_backend(self) -> TokenBackend:
        """The key ring's backend."""
        return KeyRingBackend()


def mint(principal: Principal) -> str:
    """An access token for ``principal``."""
    token = AccessToken()
    token["sub"] = public_id(PREFIXES[principal.role], principal.key)
    token["role"] = principal.role
    token["sid"] = principal.session_id
    if principal.role == "staff":
        token["roles"] = list(principal.roles)
    return str(token)


_verified: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
_guard = Lock()


def verify(raw: str) -> Principal:
    """Whom a token stands for. Database: none.

    Raises:
        TokenExpiredError: It was good once.
        TokenInvalidError: It never was, or its sign-in was ended.
    """
    principal = _verified_principal(raw)
    if principal.session_id in deny_list:
        raise TokenInvalidError(detail="this sign-in was ended")
    return principal


def _verified_principal(raw: str) -> Principal:
    if len(raw) > MAX_LENGTH or not TEXT.fullmatch(raw):
        raise TokenInvalidError(detail="not an access token")
    digest = hashlib.sha256(raw.encode()).digest()
    known = _verified.get(digest)
    if known is not None and known[0] > time.time():
        return known[1]
    try:
        claims = AccessToken(cast(Any, raw)).payload
    except SimpleExpiredTokenError:
        raise TokenExpiredError(detail="the access token has expired") from None
    except TokenError:
        raise TokenInvalidError(detail="not an access token of this shop") from None
    principal = _principal(claims)
    with _guard:
        _verified[digest] = float(claims["exp"]), principal
        while len(_verified) > REMEMBERED:
            _verified.popitem(last=False)
    return principal


def _principal(claims: dict[str, Any]) -> Principal:
    role = claims["role"]
    try:
        number = number_of(PREFIXES[role], claims["sub"])
    except (KeyError, InvalidPublicId):
        raise TokenInvalidError(detail="not an access token of this shop") from None
    return Principal(
        id=str(number),
        role=cast(Role, role),
        roles=tuple(claims.get("roles", ())),
        session_id=claims["sid"],
    )
