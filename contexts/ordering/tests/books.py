"""Two sets of books, the fake provider's and ours: how they are settled, and compared to the cent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

from django.db import connections
from django.db.models import Model

from contexts.ordering import services
from contexts.ordering.models import Order, Payment, PaymentEvent, Refund, Shipment, WebhookInbox
from contexts.ordering.services.providers.fake import FakeIntent, FakeProvider
from contexts.ordering.services.providers.fake_books import books as cursor_in_books
from contexts.ordering.services.providers.fake_books import close_books
from shop.events.models import OutboxEvent
from shop.sharding import key_of_bucket, shard_atomic, shard_map
from shop.sharding.public_ids import number_of

type Sums = dict[str, tuple[int, int]]
"""(captured, refunded) in minor units, by the provider's key; payments of which nothing was taken are left out."""

LONG_AGO = timedelta(minutes=5)


class Books:
    """What a test leaves behind, compared when it is over.

    Attributes:
        open_for: Why they may differ: the test ends in the middle of something.
    """

    def __init__(self, since: str | None = None) -> None:
        self.since = datetime.now(UTC).isoformat() if since is None else since
        self.open_for = ""

    def stay_open(self, reason: str) -> None:
        self.open_for = reason

    def differences(self) -> list[str]:
        """What the provider and we do not agree about, a line for each payment."""
        theirs, ours = self._theirs(), self._ours()
        return [
            f"{key}: the provider has (captured, refunded) {theirs.get(key)}, we have {ours.get(key)}"
            for key in sorted(theirs.keys() | ours.keys())
            if theirs.get(key) != ours.get(key)
        ]

    def _theirs(self) -> Sums:
        intents = FakeProvider().intents(since=self.since)
        return {each.key: (each.amount, each.refunded) for each in intents if each.status == "captured"}

    def _ours(self) -> Sums:
        found: Sums = {}
        for payment in Payment.objects.filter(provider="fake").across().rows():
            events = PaymentEvent.objects.on(payment.pk).filter(payment_id=payment.pk)
            captured = sum(event.amount for event in events if event.kind == "captured")
            refunded = sum(event.amount for event in events if event.kind == "refunded")
            if captured or refunded:
                found[payment.provider_key] = captured, refunded
        return found


def settle_everything() -> None:
    """Let every job come round that moves money; what fails shows in the comparison."""
    make_due(Payment, Refund, WebhookInbox)
    for job in (services.apply_webhooks, services.reconcile_payments, services.give_money_back):
        with suppress(Exception):
            job()


def make_due(*models: type[Model], past: timedelta = LONG_AGO) -> None:
    """Let the time of every row that waits for a job have come ``past`` ago; attempts were made even before."""
    then = datetime.now(UTC) - past
    owners = shard_map("ordering")
    for alias in owners.owners():
        with shard_atomic("ordering", key_of_bucket(owners.slices_of(alias)[0][0])):
            for model in models:
                waiting: Any = model._default_manager.using(alias)
                waiting.filter(due_at__isnull=False).update(due_at=then)
            if Payment in models:
                Payment.objects.using(alias).update(created_at=then)


def number(order: Any) -> int:
    return number_of("ord", order["id"])


def payment_of(order: Any) -> Payment:
    """The order's last attempt."""
    found: Payment = Payment.objects.on(number(order)).filter(order_id=number(order)).latest("id")
    return found


def intents_of(order: Any) -> list[FakeIntent]:
    payments = Payment.objects.on(number(order)).filter(order_id=number(order))
    keys = set(payments.values_list("provider_key", flat=True))
    return [intent for intent in FakeProvider().intents() if intent.key in keys]


def topics(order: Any) -> list[str]:
    """Events of the order in the outbox, in their order, by short name."""
    rows = OutboxEvent.objects.using(Order.objects.on(number(order)).db).filter(key=str(number(order)))
    return [topic.split(".")[1] for topic in rows.order_by("event_seq").values_list("topic", flat=True)]


def falsify(order: Any, **fields: Any) -> None:
    """Change the provider's books behind everybody's back."""
    key = payment_of(order).provider_key
    with cursor_in_books() as cursor:
        for name, value in fields.items():
            cursor.execute(f"UPDATE fake_intent SET {name} = %s WHERE key = %s", [value, key])  # noqa: S608  our names


def at_once[T](work: list[Callable[[], T]]) -> list[T]:
    """Results of all, begun together, each on a thread of its own; what they raise comes out here."""
    together = Barrier(len(work))

    def one(job: Callable[[], T]) -> T:
        try:
            together.wait(10)
            return job()
        finally:
            connections.close_all()
            close_books()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


def overdue(order: Any) -> None:
    """Let the order's time to be paid be over."""
    with shard_atomic("ordering", number(order)):
        Order.objects.filter(pk=number(order)).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


def delivered_long_ago(order: Any) -> None:
    """Let the order's return window be over."""
    with shard_atomic("ordering", number(order)):
        past = datetime.now(UTC) - timedelta(seconds=1)
        assert Shipment.objects.filter(order_id=number(order), due_at__isnull=False).update(due_at=past)


def die(*args: Any, **kwargs: Any) -> Any:
    """What stands where a process was killed."""
    raise RuntimeError("the process is gone")
