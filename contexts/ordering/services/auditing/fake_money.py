"""Beside the twelve: what the fake provider says it took and gave back is what our ledger says, payment by payment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contexts.ordering.domain import OPEN_ATTEMPTS
from contexts.ordering.models import Payment, Refund, WebhookInbox
from contexts.ordering.services.auditing.sums import Kind, ledger
from contexts.ordering.services.providers.fake_books import books
from shop.invariants import Check, Finding, Window
from shop.sharding import by_shard, shard_map
from shop.sharding.public_ids import InvalidPublicId, number_of, public_id

PAGE: Final = 500
NOTHING: Final = (0, 0)

type Sums = dict[str, tuple[int, int]]
"""(captured, refunded) in minor units, by the provider's key."""


def under_way(moment: datetime) -> bool:
    """Whether attempts, refunds or reports from before ``moment`` wait for a job that asks the provider."""
    for alias in shard_map("ordering").owners():
        waiting = Payment.objects.owned_by(alias).filter(status__in=OPEN_ATTEMPTS, due_at__isnull=False)
        refunds = Refund.objects.owned_by(alias).filter(due_at__isnull=False)
        reports = WebhookInbox.objects.owned_by(alias).filter(due_at__isnull=False)
        old = (waiting.filter(created_at__lte=moment), refunds.filter(created_at__lte=moment))
        if any(rows.exists() for rows in (*old, reports.filter(received_at__lte=moment))):
            return True
    return False


def apart(window: Window) -> Iterator[Finding]:
    """Payments of which the provider took, or gave back, another sum than our ledger says."""
    payments = window.of(Payment).filter(provider="fake")
    rows = payments.annotate(captured=ledger(Kind.CAPTURED), refunded=ledger(Kind.REFUNDED))
    ours = list(rows.values_list("order_id", "pk", "provider_key", "captured", "refunded"))
    theirs = _sums([key for _, _, key, _, _ in ours])
    for order_id, payment_id, key, captured, refunded in ours:
        if theirs.get(key, NOTHING) != (captured, refunded):
            ids = (public_id("ord", order_id), public_id("pay", payment_id))
            took, gave = theirs.get(key, NOTHING)
            detail = f"provider: captured {took}, refunded {gave}; ledger: captured {captured}, refunded {refunded}"
            yield Finding(ids=ids, detail=detail)


def _sums(keys: Sequence[str]) -> Sums:
    if not keys:
        return {}
    marks = ", ".join(["%s"] * len(keys))
    text = f"""
        SELECT i.key, CASE WHEN i.status = 'captured' THEN i.amount ELSE 0 END, coalesce(sum(r.amount), 0)
        FROM fake_intent i LEFT JOIN fake_refund r ON r.intent = i.reference
        WHERE i.key IN ({marks}) GROUP BY i.key, i.status, i.amount
    """  # noqa: S608  marks only
    with books() as cursor:
        cursor.execute(text, list(keys))
        return {key: (int(captured), int(refunded)) for key, captured, refunded in cursor.fetchall()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """Payments, as the public knows them, that the provider took money of."""

    payment_ids: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.payment_ids)


def _charges(_: str) -> Iterator[Charges]:
    after = ""
    while True:
        with books() as cursor:
            cursor.execute(
                "SELECT key, payment_id FROM fake_intent WHERE status = 'captured' AND key > %s ORDER BY key LIMIT %s",
                [after, PAGE],
            )
            found = cursor.fetchall()
        if not found:
            return
        yield Charges(payment_ids=tuple(payment_id for _, payment_id in found))
        after = found[-1][0]


def unknown(charges: Charges) -> Iterator[Finding]:
    """Payments that the provider took money of and that we know nothing of."""
    numbers = {shown: _number(shown) for shown in charges.payment_ids}
    known: set[int | None] = set()
    for ids in by_shard("ordering", [number for number in numbers.values() if number is not None]):
        known.update(Payment.objects.filter(pk__in=ids).values_list("pk", flat=True))
    for shown, number in numbers.items():
        if number not in known:
            yield Finding(ids=(shown,), detail="the provider took money of it, and there is no such payment")


def _number(shown: str) -> int | None:
    try:
        return number_of("pay", shown)
    except InvalidPublicId:
        return None


CHARGED: Final = Check(places=lambda: ["fake_provider"], parts=_charges, look=unknown)
