"""The shop as the machine drives it: each step of the model by the use case that does it, and what is stored after.

Time does not pass by itself: a step that needs it past lets that be so in the rows. What a killed process leaves undone
is left undone by an exception that nobody catches.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from django.conf import settings

from contexts.catalog.contract import CatalogService, OutOfStockError, StockRequest
from contexts.catalog.models import ReservationLine
from contexts.catalog.services.reservations import expire_due
from contexts.ordering import services
from contexts.ordering.contract import OrderLineRequest
from contexts.ordering.domain import AttemptStatus
from contexts.ordering.models import Order as OrderRow
from contexts.ordering.models import Payment, Shipment
from contexts.ordering.models import Refund as RefundRow
from contexts.ordering.services import paying, placing
from contexts.ordering.services.providers import ProviderAway
from contexts.ordering.services.providers.fake import FakeProvider, UnknownIntent
from contexts.ordering.tests.webhooks import event as report_of
from contexts.ordering.tests.webhooks import signature
from shop.contract import ContextError, Money, Principal
from shop.events.models import InboxEntry
from shop.events.relay import relay, retry
from shop.services import acting_as, resolve
from shop.sharding import alias_of, shard_atomic
from shop.sharding.public_ids import public_id
from tests.machine.shelf import FINE
from tests.machine.things import OVER, Attempt, Cart, Hold, Order

LONG_AGO = timedelta(hours=1)
PAST = timedelta(minutes=5)
ADDRESS: dict[str, str | None] = {"name": "Ada", "line1": "12 St James's Square", "city": "London"}
CURRENCY = "GBP"


class Killed(BaseException):
    """The process is gone; no `except` of it sees this."""


def _kill(*args: Any, **kwargs: Any) -> Any:
    raise Killed


def _nothing(_: Any) -> None:
    """No answer to keep."""


class Shop:
    """Use cases under the model's names. ``variants[i]`` and ``customers[i]`` are the IDs behind its numbers."""

    def __init__(self, variants: list[int], customers: list[int]) -> None:
        self.variants, self.customers = variants, customers
        self.refused: dict[int, int] = {}
        """Of the last refusal of `reserve`: what was left, by variant."""

    def ended(self, step: Callable[[], Any]) -> str:
        """How a step ends, in the model's words."""
        try:
            with acting_as("ordering"):
                step()
        except Killed:
            return "killed"
        except OutOfStockError as refusal:
            self.refused = {self.variants.index(int(each.variant_id)): each.available for each in refusal.lines}
            return refusal.code
        except ContextError as refusal:
            return refusal.code
        except UnknownIntent:
            return "not_found"
        return FINE

    # ---- catalog -----------------------------------------------------------------------------------------------

    def adjust(self, variant: int, delta: int, command: int) -> str:
        which = str(self.variants[variant])
        return self.ended(
            lambda: resolve(CatalogService).adjust_stock(
                variant_id=which, delta=delta, reason="counted", command_id=f"machine-{command}"
            )
        )

    def reserve(self, hold: Hold) -> str:
        lines = [StockRequest(variant_id=str(self.variants[li.variant]), quantity=li.quantity) for li in hold.lines]
        until = datetime.now(UTC) + LONG_AGO
        return self.ended(lambda: resolve(CatalogService).reserve(order_id=str(hold.id), lines=lines, expires_at=until))

    def commit(self, hold: Hold) -> str:
        return self.ended(lambda: resolve(CatalogService).commit(order_id=str(hold.id), variant_ids=self._ids(hold)))

    def cancel(self, hold: Hold) -> str:
        return self.ended(lambda: resolve(CatalogService).cancel(order_id=str(hold.id), variant_ids=self._ids(hold)))

    def expire(self, hold: Hold) -> str:
        for variant in self._ids(hold):
            with shard_atomic("catalog", int(variant)):
                lines = ReservationLine.objects.filter(order_id=hold.id, variant_id=int(variant), state="held")
                lines.update(expires_at=datetime.now(UTC) - PAST)
        expire_due(datetime.now(UTC))
        return FINE

    def _ids(self, hold: Hold) -> list[str]:
        return [str(self.variants[line.variant]) for line in hold.lines]

    # ---- ordering ----------------------------------------------------------------------------------------------

    def place(self, order: Order, agreed: bool, killed: bool) -> str:
        new = services.NewOrder(
            order_id=order.id,
            customer_id=self.customers[order.customer],
            lines=[
                OrderLineRequest(variant_id=variant, quantity=line.quantity)
                for variant, line in zip(self._ids(order), order.lines, strict=True)
            ],
            shipping_address=ADDRESS,
            expected_total=_total(order, agreed),
            repeated=True,
        )
        with _killed(placing, "_write", killed):
            return self.ended(lambda: services.place_order(new, within_effect=_nothing))

    def put(self, cart: Cart, variant: int, quantity: int) -> str:
        who, what = self.customers[cart.customer], self.variants[variant]
        return self.ended(lambda: services.put_line(customer_id=who, variant_id=what, quantity=quantity))

    def check_out(self, cart: Cart, candidate: Order, agreed: bool, killed: bool) -> str:
        with _killed(placing, "_write", killed):
            return self.ended(
                lambda: services.checkout(
                    order_id=candidate.id,
                    customer_id=self.customers[cart.customer],
                    shipping_address=ADDRESS,
                    expected_total=_total(candidate, agreed),
                    repeated=False,
                    within_effect=_nothing,
                )
            )

    def cancel_order(self, order: Order, entry: int, away: bool) -> str:
        who = Principal(id=str(self.customers[order.customer]), role="customer")
        with _provider_away(away):
            return self.ended(
                lambda: services.cancel_order(
                    entry_id=entry, order_id=order.id, caller=who, reason="changed mind", within_effect=_nothing
                )
            )

    def pass_time(self, order: Order, time: str) -> str:
        now = datetime.now(UTC)
        with shard_atomic("ordering", order.id):
            left = -PAST + timedelta(seconds=order.over_since) / 1000 if time == OVER else timedelta(seconds=60)
            OrderRow.objects.filter(pk=order.id, status="pending_payment").update(expires_at=now + left)
        return FINE

    def expire_overdue(self, away: bool) -> str:
        with _provider_away(away):
            return self.ended(services.expire_overdue_orders)

    # ---- money -------------------------------------------------------------------------------------------------

    def pay(self, attempt: Attempt, lost: bool, killed: bool) -> str:
        with _provider_away(lost), _killed(paying, "settle", killed):
            return self.ended(
                lambda: services.pay(
                    payment_id=attempt.id,
                    order_id=attempt.order.id,
                    customer_id=self.customers[attempt.order.customer],
                    provider="fake",
                    token=attempt.token,
                    within_effect=_nothing,
                )
            )

    def finish(self, attempt: Attempt, status: str) -> str:
        return self.ended(lambda: FakeProvider().finish(public_id("pay", attempt.id), AttemptStatus(status)))

    def report(self, attempt: Attempt, event: str) -> str:
        body = report_of(public_id("pay", attempt.id), attempt.theirs or "never_came", event_id=event)
        headers = {"Fake-Signature": signature(body)}
        return self.ended(lambda: services.receive_webhook(provider="fake", headers=headers, body=body))

    def apply_reports(self) -> str:
        return self.ended(services.apply_webhooks)

    def reconcile(self, attempts: list[Attempt], old: bool, away: bool) -> str:
        then = datetime.now(UTC) - LONG_AGO
        for place, each in enumerate(attempts):
            with shard_atomic("ordering", each.id):
                row = Payment.objects.filter(pk=each.id)
                row.update(created_at=then if old else datetime.now(UTC))
                row.filter(due_at__isnull=False).update(due_at=then + timedelta(seconds=place))
        with _provider_away(away):
            return self.ended(services.reconcile_payments)

    def refund(self, order: Order, amount: int | None, refund_id: int) -> str:
        money = None if amount is None else Money(amount=amount, currency=CURRENCY)
        return self.ended(
            lambda: services.request_refund(
                refund_id=refund_id, order_id=order.id, amount=money, reason="chipped", within_effect=_nothing
            )
        )

    def give_back(self, away: bool) -> str:
        for customer in self.customers:
            with shard_atomic("ordering", customer):
                due = RefundRow.objects.on(customer).filter(due_at__isnull=False)
                due.update(due_at=datetime.now(UTC) - LONG_AGO)
        with _provider_away(away):
            return self.ended(services.give_money_back)

    # ---- parcels -----------------------------------------------------------------------------------------------

    def ship(self, order: Order, shipment: int) -> str:
        return self.ended(
            lambda: services.ship(
                shipment_id=shipment,
                order_id=order.id,
                carrier="Royal Mail",
                tracking_number="AB1",
                within_effect=_nothing,
            )
        )

    def deliver(self, order: Order, entry: int) -> str:
        return self.ended(lambda: services.deliver(entry_id=entry, order_id=order.id, within_effect=_nothing))

    def complete(self) -> str:
        for customer in self.customers:
            with shard_atomic("ordering", customer):
                due = Shipment.objects.on(customer).filter(due_at__isnull=False)
                due.update(due_at=datetime.now(UTC) - LONG_AGO)
        return self.ended(services.complete_delivered_orders)

    # ---- events ------------------------------------------------------------------------------------------------

    def hand_over(self, shard: int, catalog_away: bool) -> str:
        alias = alias_of("ordering", self.customers[shard])
        for row in InboxEntry.objects.using(alias).filter(state="retry"):
            InboxEntry.objects.using(alias).filter(pk=row.pk).update(next_at=(row.next_at or LONG_AGO) - PAST)
        refused = {"catalog.commit", "catalog.cancel"} if catalog_away else set()
        with patch.object(settings, "SERVICE_KILL_SWITCH", frozenset(refused)):
            relay(alias)
            retry(alias)
        return FINE

    def handle(self, kind: str, order: Order) -> str:
        handler = services.commit_stock if kind == "placed" else services.release_stock
        return self.ended(lambda: handler(order_id=order.id))


def _total(order: Order, agreed: bool) -> Money:
    return Money(amount=order.total if agreed else order.total + 1, currency=CURRENCY)


@contextmanager
def _killed(module: Any, name: str, really: bool) -> Iterator[None]:
    """The process dies where it would call that function."""
    with patch.object(module, name, _kill) if really else nullcontext():
        yield


@contextmanager
def _provider_away(really: bool) -> Iterator[None]:
    """Nothing reaches the provider."""

    def no_answer(*args: Any, **kwargs: Any) -> Any:
        raise ProviderAway(detail="the provider does not answer")

    with ExitStack() as stack:
        for name in ("create", "read", "cancel", "refund") if really else ():
            stack.enter_context(patch.object(FakeProvider, name, no_answer))
        yield
