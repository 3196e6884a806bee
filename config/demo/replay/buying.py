"""A basket that buys: order it at today's prices, pay it."""

from collections.abc import Mapping
from functools import partial

from django.http import HttpResponse, JsonResponse

from config.demo.replay.baskets import Basket
from config.demo.replay.client import Answer, Client
from config.demo.replay.countries import code_of
from contexts.ordering import services
from contexts.ordering.contract import OrderLineRequest
from contexts.ordering.domain import AttemptStatus
from contexts.ordering.services import NewOrder, OrderView, PaymentView
from shop.http.idempotency import Claim
from shop.sharding import alias_of

PROVIDER, TOKEN = "fake", "tok_ok"


def buy(client: Client, basket: Basket, customer_id: int, lines: Mapping[int, int]) -> None:
    """Place the basket's order and pay it; what the shop refuses is counted.

    Args:
        client: Who asks.
        basket: Whose order it is.
        customer_id: Who buys.
        lines: Pieces by variant.
    """
    placed = client.step(
        customer_id, f"{basket.invoice}/order", basket.fingerprint, partial(_place, basket, customer_id, lines)
    )
    if placed.refusal:
        client.tally.add("refused", placed.refusal)
        return
    _count_order(client, placed, lines)
    order_id = int(placed.body["order_id"])
    paid = client.step(
        customer_id, f"{basket.invoice}/payment", basket.fingerprint, partial(_pay, order_id, customer_id)
    )
    if paid.refusal:
        client.tally.add("refused", paid.refusal)
        return
    client.tally.add("orders", "paid" if paid.body["status"] == AttemptStatus.CAPTURED else "payment_pending")
    client.tally.add("charged", paid.body["currency"], paid.body["amount"])


def _place(basket: Basket, customer_id: int, lines: Mapping[int, int], held: Claim) -> HttpResponse:
    new = NewOrder(
        order_id=held.resource_id,
        customer_id=customer_id,
        lines=[OrderLineRequest(variant_id=str(each), quantity=pieces) for each, pieces in lines.items()],
        shipping_address=_address(basket),
        expected_total=None,
        repeated=held.repeated,
    )
    return _placed(services.place_order(new, within_effect=lambda order: held.keep_within(_placed(order))))


def _placed(order: OrderView) -> HttpResponse:
    return JsonResponse({"order_id": order.id}, status=201)


def _pay(order_id: int, customer_id: int, held: Claim) -> HttpResponse:
    payment = services.pay(
        payment_id=held.resource_id,
        order_id=order_id,
        customer_id=customer_id,
        provider=PROVIDER,
        token=TOKEN,
        within_effect=lambda payment: held.keep_within(_paid(payment)),
    )
    return _paid(payment)


def _paid(payment: PaymentView) -> HttpResponse:
    shown = {"status": payment.status, "amount": payment.amount, "currency": payment.currency}
    return JsonResponse(shown, status=201)


def _address(basket: Basket) -> dict[str, str | None]:
    """The file tells the country and nothing else."""
    return {
        "name": f"Customer {basket.customer}" if basket.customer else f"Guest {basket.invoice}",
        "line1": "unknown",
        "line2": None,
        "city": "unknown",
        "region": None,
        "postal_code": "unknown",
        "country": code_of(basket.country),
    }


def _count_order(client: Client, placed: Answer, lines: Mapping[int, int]) -> None:
    client.tally.add("orders", "placed")
    client.tally.add("orders", "done_before", int(placed.before))
    client.tally.add("orders", "lines", len(lines))
    client.tally.add("orders", "pieces", sum(lines.values()))
    alias = alias_of("ordering", int(placed.body["order_id"]))
    client.tally.add_rows("ordering.orders", alias)
    client.tally.add_rows("ordering.order_lines", alias, len(lines))
    for variant_id in lines:
        client.tally.add_rows("catalog.reservation_lines", alias_of("catalog", variant_id))
