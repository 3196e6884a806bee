"""A batch of events on its way: in a version, signed by who produced it, meant for this exchange, of a known age.

Whoever can write to the broker can write anything into a queue; so a worker believes a batch by its signature alone. It
covers every event, and neither Celery's headers nor the name of the queue.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import jwt

from shop.events.envelope import Envelope
from shop.services.keys import key_ring
from shop.services.public_keys import public_key

VERSION: Final = 1
AUDIENCE: Final = "shop.events"
ALGORITHM: Final = "ES256"
OLDEST: Final = timedelta(days=14)
"""A queue may stand for long; what is older is looked at by somebody before it has an effect."""
EARLY: Final = timedelta(minutes=5)
"""Clocks differ."""

type Sealed = Mapping[str, Any]
"""``{"version": 1, "token": …, "events": …}``: the events are the text that was signed."""


class NotBelieved(Exception):
    """A batch that no producer of this shop has sent so. ``reason`` says why, and has nothing of its content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def seal(producer: str, envelopes: Sequence[Envelope]) -> dict[str, Any]:
    """The message that carries ``envelopes``, signed by the context ``producer``."""
    return signed(producer, [envelope.to_json() for envelope in envelopes])


def signed(producer: str, found: Sequence[Any]) -> dict[str, Any]:
    """The same for events as JSON has them."""
    events = json.dumps(found, separators=(",", ":"))
    ring = key_ring(producer)
    claims = {"iss": producer, "aud": AUDIENCE, "iat": int(time.time()), "sha256": _digest(events)}
    token = jwt.encode(claims, ring.private[ring.signing], algorithm=ALGORITHM, headers={"kid": ring.signing})
    return {"version": VERSION, "token": token, "events": events}


def unseal(message: Sealed, *, oldest: timedelta = OLDEST, keeper: str = "") -> list[Envelope]:
    """The events of a message, in the order in which they were sealed.

    Args:
        message: As it came.
        oldest: How long ago it may have been sealed.
        keeper: The context that has kept it, and may have signed it anew for its producer.

    Raises:
        NotBelieved: Its version is unknown, its signature is not ours, it is too old, or events are not its producer's.
    """
    found = opened(message)
    if not -EARLY <= found.age <= oldest:
        raise NotBelieved("too old" if found.age > oldest else "from the future")
    try:
        envelopes = [Envelope.from_json(each) for each in found.events]
    except TypeError:
        raise NotBelieved("unknown fields") from None
    if any(found.producer not in {envelope.topic.partition(".")[0], keeper} for envelope in envelopes):
        raise NotBelieved("not its producer's event")
    return envelopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a producer of this shop has signed, and how long ago; its events as JSON has them, of any release."""

    producer: str
    age: timedelta
    events: Sequence[Any]


def opened(message: Sealed) -> Opened:
    """What is in a message.

    Raises:
        NotBelieved: Its version is unknown, or its signature is not ours.
    """
    if not isinstance(message, Mapping) or message.get("version") != VERSION:
        raise NotBelieved("unknown version")
    events = message.get("events")
    claims = _claims(message.get("token"))
    if not isinstance(events, str) or claims.get("sha256") != _digest(events):
        raise NotBelieved("not what was signed")
    try:
        found = json.loads(events)
    except ValueError:
        raise NotBelieved("unknown fields") from None
    age = timedelta(seconds=time.time() - claims["iat"])
    return Opened(producer=claims["iss"], age=age, events=found if isinstance(found, list) else [found])


def _claims(token: Any) -> dict[str, Any]:
    try:
        kid = jwt.get_unverified_header(token)["kid"]
        key = public_key(jwt.decode(token, options={"verify_signature": False})["iss"], kid)
        needed = {"require": ["iss", "aud", "iat", "sha256"], "verify_iat": False}
        return jwt.decode(token, key, algorithms=[ALGORITHM], audience=AUDIENCE, options=needed)  # type: ignore[arg-type]
    except (jwt.PyJWTError, KeyError, TypeError, AttributeError, ValueError):
        raise NotBelieved("not signed by this shop") from None


def _digest(events: str) -> str:
    return hashlib.sha256(events.encode(errors="surrogatepass")).hexdigest()  # half a character is nothing signed
