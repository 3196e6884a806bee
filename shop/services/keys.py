"""The key rings that sign what this shop vouches for: access tokens and batches of events, and calls of each context.

ES256 keys in private JWKS files; the first one of each signs, all verify.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from jwt.algorithms import ECAlgorithm

from shop.settings import write_once


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """Keys by ``kid``; ``signing`` is the one new tokens are signed with."""

    signing: str
    private: Mapping[str, Any]
    public: Mapping[str, Any]

    def jwks(self) -> dict[str, Any]:
        """The public half, as served at ``/.well-known/jwks.json``."""
        return {"keys": [_public_jwk(kid, key) for kid, key in self.public.items()]}


def key_ring(context: str = "") -> KeyRing:
    """The ring of a context that is hosted here, or the shop's, which signs access tokens and is auth's own.

    The file is made at first use and read again when it changes.
    """
    is_own = context not in ("", settings.STAFF_CONTEXT)
    path = f"{settings.SHOP_HOME}/keys/{context}.jwks" if is_own else str(settings.SIGNING_KEYS)
    try:
        changed = os.stat(path).st_mtime_ns  # noqa: PTH116  each call of another process looks; a Path takes longer
    except FileNotFoundError:
        write_once(Path(path), json.dumps({"keys": [_new_jwk()]}))
        changed = os.stat(path).st_mtime_ns  # noqa: PTH116  the same
    return _read(path, changed)


@lru_cache(maxsize=8)
def _read(path: str, _changed: int) -> KeyRing:
    entries = json.loads(Path(path).read_text())["keys"]
    private: dict[str, Any] = {entry["kid"]: ECAlgorithm.from_jwk(entry) for entry in entries}
    return KeyRing(
        signing=entries[0]["kid"],
        private=private,
        public={kid: key.public_key() for kid, key in private.items()},
    )


def _new_jwk() -> dict[str, Any]:
    jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**jwk, "kid": secrets.token_urlsafe(8), "use": "sig", "alg": "ES256"}


def _public_jwk(kid: str, key: Any) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "use": "sig", "alg": "ES256"}
