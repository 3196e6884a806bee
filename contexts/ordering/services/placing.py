"""Placing an order: hold the pieces, then write the order. Paid for later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError

from contexts.catalog.contract import (
    CatalogService,
    NotForSaleError,
    Offer,
    OutOfStockError,
    Refusal,
    StockRequest,
    VariantNotFoundError,
)
from contexts.ordering import domain
from contexts.ordering.contract import OrderCreated, OrderLineRequest
from contexts.ordering.models import MAX_LINE_NAME, Order, OrderLine
from contexts.ordering.services.reading import known_order
from contexts.ordering.services.telling import entry
from contexts.ordering.services.views import OrderView, new_order_view
from shop.contract import ConflictError, ContextError, Fault, InvalidError, Money
from shop.events import to_publish
from shop.services import resolve
from shop.sharding import new_id, rerouted, shard_at_once, shard_atomic
from shop.sharding.together import insert_together


def _always() -> bool:
    """Nobody else may be making the same order."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order to be placed.

    Attributes:
        order_id: The ID it will have, in the customer's bucket; the same again gives the same order.
        customer_id: Whose order it is.
        lines: What is bought, each variant once.
        shipping_address: Where it goes.
        expected_total: What the shopper agreed to.
        repeated: Whether it may have been placed before.
        within_order: Called with the order first thing in the transaction that writes it; None where nothing more is
            written than the order.
        give_up: Called when it can't be placed; whether its pieces may be given back.
    """

    order_id: int
    customer_id: int
    lines: Sequence[OrderLineRequest]
    shipping_address: Mapping[str, str | None]
    expected_total: Money | None
    repeated: bool
    within_order: Callable[[Order], None] | None = None
    give_up: Callable[[], bool] = _always


def place_order(new: NewOrder, *, within_effect: Callable[[OrderView], None]) -> OrderView:
    """Hold the pieces of all lines and write the order at today's prices, waiting for its payment.

    Args:
        new: What is ordered.
        within_effect: Called with the order inside the transaction that writes it.

    Emits: OrderCreated. Database: the customer's shard, one transaction; catalog is asked before it.
    Safe to repeat: by the order's ID. A crash in between leaves a hold that expires.

    Raises:
        DuplicateLineError, CurrencyMismatchError, TotalChangedError, TotalTooLargeError: As named.
        OutOfStockError, NotForSaleError, VariantNotFoundError: From catalog, with the lines at fault.
    """
    domain.refuse_duplicates(new.lines)
    if new.repeated and (known := known_order(new.order_id)):
        return known
    now = datetime.now(UTC)
    expires_at = now + timedelta(seconds=int(settings.CONTEXT_SETTINGS["PAYMENT_WINDOW_SECONDS"]))
    offers = _reserve(new.order_id, new.lines, expires_at + domain.HOLD_LASTS_LONGER)
    try:
        totals = domain.totals([line.quantity for line in new.lines], [offer.price for offer in offers])
        domain.refuse_other_total(new.expected_total, totals)
        order = _new_order(new, totals)
        order.expires_at, order.created_at, order.updated_at = expires_at, now, now
        rows = [
            _new_line(order, i, new.lines[i].quantity, offers[i], totals.line_totals[i]) for i in range(len(offers))
        ]
        return rerouted("ordering", partial(_write, new, order, rows, within_effect))
    except (IntegrityError, ConflictError, InvalidError):
        if known := known_order(new.order_id):
            return known  # another one placed the same order: a lapsed Idempotency-Key, or the same cart
        if new.give_up():
            held = [line.variant_id for line in new.lines]
            resolve(CatalogService).cancel(order_id=str(new.order_id), variant_ids=held)
        raise


def _write(
    new: NewOrder, order: Order, rows: Sequence[OrderLine], within_effect: Callable[[OrderView], None]
) -> OrderView:
    with (shard_atomic if new.within_order else shard_at_once)("ordering", order.pk):
        if new.within_order:
            new.within_order(order)
        created = OrderCreated(order_id=str(order.pk), customer_id=str(order.customer_id))
        event = to_publish(created, seq=order.event_seq)
        placed = new_order_view(order, rows)
        within_effect(placed)  # first: what it keeps goes with the rows
        insert_together(order, *rows, entry(order, "order_created"), event)
    return placed


def _reserve(order_id: int, lines: Sequence[OrderLineRequest], expires_at: datetime) -> tuple[Offer, ...]:
    wanted = [StockRequest(variant_id=line.variant_id, quantity=line.quantity) for line in lines]
    try:
        return resolve(CatalogService).reserve(order_id=str(order_id), lines=wanted, expires_at=expires_at)
    except (OutOfStockError, NotForSaleError, VariantNotFoundError) as refusal:
        refusal.faults = _faults(lines, refusal.lines, refusal)
        raise


def _faults(lines: Sequence[OrderLineRequest], refused: Sequence[Refusal], refusal: ContextError) -> tuple[Fault, ...]:
    """The refused variants by their place in the request."""
    left = {line.variant_id: line.available for line in refused}
    short = isinstance(refusal, OutOfStockError)
    return tuple(
        Fault(
            field=f"lines.{position}",
            code=refusal.code,
            detail=f"{left[line.variant_id]} left" if short else refusal.code.replace("_", " "),
            available=left[line.variant_id] if short else None,
        )
        for position, line in enumerate(lines)
        if line.variant_id in left
    )


def _new_order(new: NewOrder, totals: domain.Totals) -> Order:
    return Order(
        id=new.order_id,
        customer_id=new.customer_id,
        status=domain.OrderStatus.PENDING_PAYMENT,
        currency=totals.currency,
        subtotal=totals.subtotal,
        discount_total=totals.discount_total,
        shipping_total=totals.shipping_total,
        tax_total=totals.tax_total,
        total=totals.total,
        shipping_address=dict(new.shipping_address),
    )


def _new_line(order: Order, position: int, quantity: int, offer: Offer, total: int) -> OrderLine:
    return OrderLine(
        id=new_id("ordering", near=order.pk),
        order_id=order.pk,
        position=position,
        variant_id=int(offer.variant_id),
        product_id=int(offer.product_id),
        sku=offer.sku,
        name=offer.name[:MAX_LINE_NAME],  # catalog sets no bound: options are part of it
        quantity=quantity,
        unit_price=offer.price.amount,
        total=total,
    )
