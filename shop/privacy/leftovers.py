"""What the kernel's own tables hold of a customer: answers kept under keys, texts in events, messages that were parked.

An event is not deleted, its texts are: what has happened stays told, and numbered.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final

import structlog

from shop.contract import Event
from shop.events.broker.sealing import NotBelieved, opened, signed
from shop.events.envelope import Envelope
from shop.events.models import InboxEntry, OutboxEvent, ParkedMessage
from shop.gateway.tokens import PREFIXES
from shop.http.kept_answers import forget_answers
from shop.privacy.words import ERASED
from shop.sharding import bucket_of, home_atomic, home_of, hosted_contexts, key_of_bucket, shard_atomic
from shop.sharding.public_ids import public_id

log = structlog.get_logger(__name__)

ENVELOPE: Final = frozenset(field.name for field in fields(Envelope))


def erase_leftovers(context: str, customer_id: int) -> None:
    """Erase them in ``context``. Safe to repeat. Database: the customer's shard and the home, a transaction each."""
    bucket = bucket_of(customer_id)
    here = {"pk__gte": key_of_bucket(bucket), "pk__lt": key_of_bucket(bucket + 1)}
    with shard_atomic(context, customer_id) as scope:
        forget_answers(context, customer_id)
        told = OutboxEvent.objects.using(scope.alias).filter(**here, shard_key=customer_id)
        for row in told.filter(topic__in=list(_personal())):
            row.payload = _without_texts(row.topic, row.payload)
            row.save(using=scope.alias, update_fields=("payload",))
        for entry in InboxEntry.objects.using(scope.alias).filter(**here, envelope__isnull=False):
            envelope = Envelope.from_json(entry.envelope or {})
            if envelope.shard_key == customer_id and envelope.topic in _personal():
                entry.envelope = _emptied(envelope).to_json()
                entry.save(using=scope.alias, update_fields=("envelope",))
    _erase_parked(context, customer_id)


def _personal() -> Mapping[str, tuple[str, ...]]:
    """Fields that hold what people wrote, by topic, of the events that this process knows."""
    return {kind.topic(): kind.personal for kind in _kinds(Event) if kind.personal}


def _kinds(kind: type[Event]) -> Iterator[type[Event]]:
    for own in kind.__subclasses__():
        yield own
        yield from _kinds(own)


def _without_texts(topic: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    fields = _personal().get(topic, ())
    return {name: ERASED if name in fields and value else value for name, value in payload.items()}


def _emptied(envelope: Envelope) -> Envelope:
    return replace(envelope, payload=_without_texts(envelope.topic, envelope.payload))


def _erase_parked(context: str, customer_id: int) -> None:
    """Messages about the customer, whole or in part: nobody here knows what they hold, so none of its texts stay."""
    names = (str(customer_id), public_id(PREFIXES["customer"], customer_id))
    for row in ParkedMessage.objects.using(home_of(context)).iterator():
        if any(name in json.dumps(row.message) for name in names):
            with home_atomic(context) as scope:
                parked = ParkedMessage.objects.using(scope.alias).filter(pk=row.pk)
                parked.update(message=_without_customer(context, row.message, customer_id))


def _without_customer(context: str, message: Any, customer_id: int) -> dict[str, Any]:
    """The same batch, signed anew, with the customer's events emptied; nothing of one that nobody believes.

    Whose producer lives elsewhere is signed by who keeps it: its producer's key is not here.
    """
    try:
        found = opened(message)
    except NotBelieved as error:
        log.warning("parked_message_erased", reason=error.reason)
        return {ERASED: True}
    signer = found.producer if found.producer in hosted_contexts() else context
    return signed(signer, [_unread(each) if _is_about(each, customer_id) else each for each in found.events])


def _is_about(event: Any, customer_id: int) -> bool:
    """What is no event may be about anybody."""
    return not isinstance(event, dict) or event.get("shard_key", customer_id) == customer_id


def _unread(event: Any) -> Any:
    """An event of any release without its texts; numbers, and IDs written as such, stay."""
    if not isinstance(event, dict):
        return ERASED
    known = {name: value for name, value in event.items() if name in ENVELOPE}
    others = {name: _number_or_erased(value) for name, value in event.items() if name not in ENVELOPE}
    payload = event.get("payload")
    read = payload.items() if isinstance(payload, dict) else ()
    return {**known, **others, "payload": {name: _number_or_erased(value) for name, value in read}}


def _number_or_erased(value: Any) -> Any:
    return value if isinstance(value, int) or value is None or (isinstance(value, str) and value.isdigit()) else ERASED
