"""A batch on its way: a worker believes what a producer of this shop has sealed, and nothing else."""

import json
import time
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shop.events.broker import sealing
from shop.events.broker.sealing import NotBelieved, seal, unseal
from shop.events.envelope import Envelope
from shop.services.keys import key_ring

pytestmark = pytest.mark.once

EVENT = Envelope(
    event_id=7,
    topic="catalog.parcel_sent.v1",
    key="12",
    event_seq=1,
    shard_key=12,
    payload={"parcel_id": "12", "label": "für Ada"},
    traceparent="",
    actor="",
    causation="",
)
DAY = 86_400


def test_what_was_sealed_comes_out_in_its_order():
    batch = [EVENT, replace(EVENT, event_id=8, event_seq=2)]
    assert unseal(json.loads(json.dumps(seal("catalog", batch)))) == batch


def signed(key=None, by="", **changes):
    """A batch of one event whose claims were changed before it was signed."""
    message, ring = seal("catalog", [EVENT]), key_ring(by or changes.get("iss", "catalog"))
    claims = {**jwt.decode(message["token"], options={"verify_signature": False}), **changes}
    token = jwt.encode(claims, key or ring.private[ring.signing], algorithm="ES256", headers={"kid": ring.signing})
    return {**message, "token": token}


def changed(**fields):
    return {**seal("catalog", [EVENT]), **fields}


def other_events():
    return json.dumps([replace(EVENT, payload={"parcel_id": "13"}).to_json()])


FORGED = {
    "another version": (lambda: changed(version=2), "unknown version"),
    "no version": (lambda: {"events": "[]"}, "unknown version"),
    "no batch at all": (lambda: "rm -rf", "unknown version"),
    "another event under the same token": (lambda: changed(events=other_events()), "not what was signed"),
    "events that are no text": (lambda: changed(events=[EVENT.to_json()]), "not what was signed"),
    "events with half a character": (lambda: changed(events='["\ud800"]'), "not what was signed"),
    "no token": (lambda: changed(token=None), "not signed by this shop"),
    "a token with half a character": (lambda: changed(token="\ud800.x.y"), "not signed by this shop"),
    "an unsigned token": (
        lambda: changed(token=jwt.encode({"iss": "catalog"}, "", algorithm="none")),
        "not signed by this shop",
    ),
    "another's key": (lambda: signed(ec.generate_private_key(ec.SECP256R1())), "not signed by this shop"),
    "another context's key": (lambda: signed(by="ordering"), "not signed by this shop"),
    "a context that there is not": (lambda: signed(by="ordering", iss="../auth"), "not signed by this shop"),
    "a token for somebody else": (lambda: signed(aud="shop"), "not signed by this shop"),
    "fifteen days old": (lambda: signed(iat=int(time.time()) - 15 * DAY), "too old"),
    "of tomorrow": (lambda: signed(iat=int(time.time()) + DAY), "from the future"),
    "another context's event": (lambda: signed(iss="ordering"), "not its producer's event"),
}


@pytest.mark.parametrize(("forge", "reason"), FORGED.values(), ids=FORGED)
def test_what_is_not_believed(forge, reason):
    with pytest.raises(NotBelieved) as refused:
        unseal(forge())
    assert refused.value.reason == reason


def test_fields_of_another_version_are_not_guessed(monkeypatch):
    # given a batch whose events have a field that is unknown here, rightly signed
    of_tomorrow = {**EVENT.to_json(), "priority": 1}
    monkeypatch.setattr(Envelope, "to_json", lambda _: of_tomorrow)
    with pytest.raises(NotBelieved, match="unknown fields"):
        unseal(seal("catalog", [EVENT]))


def test_a_fortnight_in_the_queue_is_no_fault(monkeypatch):
    message = seal("catalog", [EVENT])
    later = time.time() + 13 * DAY
    monkeypatch.setattr(sealing.time, "time", lambda: later)
    assert unseal(message) == [EVENT]
