"""Webhooks: what a provider reports is stored first, answered, and applied by a job. A crash in between loses nothing.

The report only says where to look: what counts is what the provider's books say when they are asked.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError

from contexts.ordering.contract import InvalidSignatureError, UnknownProviderError
from contexts.ordering.domain import is_erased
from contexts.ordering.models import Payment, UnmatchedWebhook, WebhookInbox
from contexts.ordering.services.providers import provider_named
from contexts.ordering.services.settling import settle
from shop.contract import NotFoundError, UnavailableError
from shop.events import one_by_one, wake_jobs
from shop.sharding import home_atomic, new_id, shard_atomic
from shop.sharding.public_ids import InvalidPublicId, number_of
from shop.sharding.scope import savepoint
from shop.sharding.together import insert_if_new

log = structlog.get_logger(__name__)

BATCH: Final = 100
MAX_ATTEMPTS: Final = 5
AWAY_SECONDS: Final = 2
MAX_WORD: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What can be read of a webhook. ``event_id`` is the body's digest where the provider gave none."""

    event_id: str
    type: str
    payment_id: int | None
    body: str


def receive_webhook(*, provider: str, headers: Mapping[str, str], body: bytes) -> None:
    """Store what a provider reports, once. Whatever is well signed is stored, even if nothing can be made of it.

    Database: the payment's shard, or ordering's home where it names no payment; one transaction.
    Safe to repeat: by the event's ID; the first one's body is kept.

    Raises:
        NotFoundError: There is no such provider.
        InvalidSignatureError: It is not the provider's, or too old.
    """
    try:
        port = provider_named(provider)
    except UnknownProviderError:
        raise NotFoundError(detail="there is no such provider") from None
    if not port.is_genuine(headers=headers, body=body):
        raise InvalidSignatureError(detail="the signature does not hold for this body, or is too old")
    report = _read(body)
    payment = _payment_of(report, provider)
    if payment is None:
        _store_unmatched(report, provider)
    else:
        _store(report, payment)


def _read(body: bytes) -> _Report:
    text = body.decode()
    given = json.loads(text)
    event: dict[str, Any] = given if isinstance(given, dict) else {}
    data = event.get("data")
    named = data.get("payment_id") if isinstance(data, dict) else None
    return _Report(
        event_id=_word(event.get("id")) or f"sha256:{hashlib.sha256(body).hexdigest()}",
        type=_word(event.get("type")),
        payment_id=_number(named),
        body=text,
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_WORD else ""


def _number(named: Any) -> int | None:
    try:
        return number_of("pay", named) if isinstance(named, str) else None
    except InvalidPublicId:
        return None


def _payment_of(report: _Report, provider: str) -> Payment | None:
    if report.payment_id is None:
        return None
    found = Payment.objects.on(report.payment_id).select_related("order").filter(pk=report.payment_id)
    payment: Payment | None = found.first()
    return payment if payment is not None and payment.provider == provider else None


def _store(report: _Report, payment: Payment) -> None:
    now = datetime.now(UTC)
    row = WebhookInbox(
        id=new_id("ordering", near=payment.pk),
        payment_id=payment.pk,
        event_id=report.event_id,
        type=report.type,
        body="" if is_erased(payment.order.shipping_address) else report.body,  # it may say who paid
        received_at=now,
        due_at=now,
    )
    if insert_if_new("ordering", row):
        wake_jobs("ordering")
    else:
        log.info("webhook_repeated", payment_id=str(payment.pk))


def _store_unmatched(report: _Report, provider: str) -> None:
    key = new_id("ordering")  # before the transaction: at home none can be leased inside one
    row = UnmatchedWebhook(
        id=key,
        provider=provider,
        event_id=report.event_id,
        type=report.type,
        body=report.body,
        received_at=datetime.now(UTC),
    )
    with home_atomic("ordering"):
        try:
            with savepoint():
                row.save(force_insert=True)
        except IntegrityError:
            return
    log.warning("webhook_unmatched", provider=provider)


def apply_webhooks() -> int:
    """Apply the stored webhooks that are due; returns how many.

    One that can't be applied holds up no other: it is tried `MAX_ATTEMPTS` times, then parked with the reason.
    Emits: OrderPlaced, where money was taken. Safe to repeat, and for several processes at once.
    """
    due = WebhookInbox.objects.filter(due_at__lte=datetime.now(UTC))
    rows: Sequence[WebhookInbox] = due.across(partial=True).page(order=("due_at", "id"), limit=BATCH).rows
    return one_by_one(rows, _apply)


def _apply(row: WebhookInbox) -> int:
    payment: Payment = Payment.objects.on(row.payment_id).get(pk=row.payment_id)
    try:
        intent = provider_named(payment.provider).hear(key=payment.provider_key, report=row.type)
        settle(payment_id=payment.pk, intent=intent)
    except (UnavailableError, OperationalError, InterfaceError) as error:  # away now, which is no fault of the report
        _change(row, due_at=datetime.now(UTC) + timedelta(seconds=AWAY_SECONDS), reason=type(error).__name__)
        return 0
    except Exception as error:
        _failed(row, error)
        return 0
    _change(row, state=WebhookInbox.State.APPLIED, due_at=None, reason="")
    return 1


def _failed(row: WebhookInbox, error: Exception) -> None:
    attempts, reason = row.attempts + 1, type(error).__name__
    if attempts < MAX_ATTEMPTS:
        due_at = datetime.now(UTC) + timedelta(seconds=2**attempts)
        _change(row, attempts=attempts, due_at=due_at, reason=reason)
        log.warning("webhook_failed", webhook_id=str(row.pk), error=reason, exc_info=error)
    else:
        _change(row, attempts=attempts, state=WebhookInbox.State.PARKED, due_at=None, reason=reason)
        log.error("webhook_parked", webhook_id=str(row.pk), error=reason, exc_info=error)


def _change(row: WebhookInbox, **fields: Any) -> None:
    """Note the outcome, unless another process has done so meanwhile."""
    with shard_atomic("ordering", row.pk):
        WebhookInbox.objects.filter(pk=row.pk, due_at=row.due_at).update(**fields)
