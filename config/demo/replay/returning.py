"""A basket that takes something back: money for it returns on the orders that hold it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from django.http import HttpResponse, JsonResponse

from config.demo.replay.baskets import Basket
from config.demo.replay.client import Client
from contexts.ordering import services
from contexts.ordering.domain import AttemptStatus, OrderStatus
from contexts.ordering.services import OrderFilter, OrderView
from shop.contract import Money
from shop.http.idempotency import Claim

PAGE: Final = 20
REFUSED: Final = "failed"
"""Status of a refund that the provider will never make: its money is there to be asked for again."""


def take_back(client: Client, basket: Basket, customer_id: int | None, lines: Mapping[int, int]) -> None:
    """Let the money for the basket's pieces go back.

    A line's money goes back on the latest paid order of the customer that holds its variant: for no more pieces than
    that order has of it, at the price that order paid, and only as far as money is left there.

    Args:
        client: Who asks.
        basket: The cancellation.
        customer_id: Whose it is; None: nobody known.
        lines: Pieces by variant.
    """
    strange = len(basket.pieces) - len(lines)
    client.tally.add("cancellations", "lines", len(basket.pieces))
    if customer_id is None:
        client.tally.add("cancellations", "unmatched_lines", len(basket.pieces))
        return
    work = partial(_take_back, client, basket, customer_id, lines)
    done = client.step(customer_id, basket.invoice, basket.fingerprint, work)
    if done.refusal:
        client.tally.add("refused", done.refusal)
        return
    client.tally.add("cancellations", "done_before", int(done.before))
    client.tally.add("cancellations", "unmatched_lines", done.body["unmatched_lines"] + strange)
    for name in ("refunds", "cut_short"):
        client.tally.add("cancellations", name, done.body[name])
    for part in ("refused", "given_back"):
        for name, number in done.body[part].items():
            client.tally.add(part, name, number)


def _take_back(client: Client, basket: Basket, customer_id: int, lines: Mapping[int, int], _: Claim) -> HttpResponse:
    """Ask for a refund on each order; a repetition meets the same orders, since its customer's next basket waits."""
    counts: Counter[str] = Counter(refunds=0, cut_short=0)
    refused: Counter[str] = Counter()
    given_back: Counter[str] = Counter()
    left = dict(lines)
    for order in _paid_orders(customer_id):
        worth = _worth(order, left)
        if worth:
            work = partial(_give_back, order, worth, basket.invoice)
            answer = client.attempt(customer_id, f"{basket.invoice}/{order.id}", basket.fingerprint, work)
            if answer.refusal:
                refused[answer.refusal] += 1
                continue
            amount = answer.body["amount"]
            counts["refunds"] += amount > 0
            counts["cut_short"] += amount < worth
            given_back[order.currency] += amount
        if not left:
            break
    body: dict[str, Any] = {**counts, "unmatched_lines": len(left), "refused": refused, "given_back": given_back}
    return JsonResponse(body)


def _paid_orders(customer_id: int) -> Iterator[OrderView]:
    """The customer's orders of which money was taken, latest first."""
    after = None
    while True:
        page = services.orders_of_customer(customer_id=customer_id, limit=PAGE, after=after, which=OrderFilter())
        for order in page.orders:
            if order.status in (OrderStatus.PLACED, OrderStatus.COMPLETED):
                yield order
        after = page.next_position
        if after is None:
            return


def _worth(order: OrderView, left: dict[int, int]) -> int:
    """What the order paid for pieces of ``left``; its variants are taken out of there."""
    held = [line for line in order.lines if line.variant_id in left]
    return sum(min(left.pop(line.variant_id), line.quantity) * line.unit_price for line in held)


def _give_back(order: OrderView, worth: int, invoice: str, held: Claim) -> HttpResponse:
    amount = min(worth, _money_left(order))
    answer = JsonResponse({"amount": amount}, status=201)
    if amount:
        services.request_refund(
            refund_id=held.resource_id,
            order_id=order.id,
            amount=Money(amount=amount, currency=order.currency),
            reason=f"replay: cancellation {invoice}",
            within_effect=lambda _: held.keep_within(answer),
        )
    return answer


def _money_left(order: OrderView) -> int:
    taken = sum(payment.amount for payment in order.payments if payment.status == AttemptStatus.CAPTURED)
    return taken - sum(refund.amount for refund in order.refunds if refund.status != REFUSED)
