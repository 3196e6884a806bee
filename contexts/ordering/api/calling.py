"""What every operation of ordering needs: the caller, and answers that can be kept under a key."""

from django.http import HttpRequest, HttpResponse

from contexts.ordering.api.bodies import MoneyIn
from contexts.ordering.api.shown import order_json
from contexts.ordering.services import OrderView
from shop.contract import Money, Principal
from shop.http.rendering import answer


class Request(HttpRequest):
    """A request that the gateway's pipeline has admitted: somebody is signed in."""

    principal: Principal


def created_order(order: OrderView) -> HttpResponse:
    """201 with an order."""
    return answer(order_json(order), status=201)


def money(given: MoneyIn | None) -> Money | None:
    """An amount of a request as a value."""
    return Money(amount=given.amount, currency=given.currency) if given else None
