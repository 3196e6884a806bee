"""Ordering's operations. Who may call them stands in the route table in `urls`."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from contexts.ordering import services
from contexts.ordering.api.schemas import (
    CartOut,
    CheckoutIn,
    MoneyIn,
    OrderIn,
    OrderList,
    OrderOut,
    PaymentIn,
    PaymentOut,
    QuantityIn,
)
from contexts.ordering.contract import OrderLineRequest
from contexts.ordering.services import OrderView, PaymentView
from shop.contract import Money, Principal
from shop.http.idempotency import answering, resource_id
from shop.http.ids import from_path, from_request
from shop.http.ninja import answer
from shop.http.paging import cursor, limit_of, position

router = Router()


class Request(HttpRequest):
    """A request that the gateway's pipeline has admitted: somebody is signed in."""

    principal: Principal


def _created_order(order: OrderView) -> HttpResponse:
    return answer(201, OrderOut.of(order))


def _created_payment(payment: PaymentView) -> HttpResponse:
    return answer(201, PaymentOut.of(payment))


def _money(given: MoneyIn | None) -> Money | None:
    return Money(amount=given.amount, currency=given.currency) if given else None


@router.get("cart", response={200: CartOut})
def show_cart(request: Request) -> HttpResponse:
    """The caller's cart."""
    return answer(200, CartOut.of(services.show_cart(customer_id=request.principal.key)))


@router.put("cart/lines/{variant_id}", response={200: CartOut})
def put_cart_line(request: Request, variant_id: str, body: QuantityIn) -> HttpResponse:
    """Let the cart hold so many pieces of a variant."""
    cart = services.put_line(
        customer_id=request.principal.key, variant_id=from_path("var", variant_id), quantity=body.quantity
    )
    return answer(200, CartOut.of(cart))


@router.delete("cart", response={204: None})
def clear_cart(request: Request) -> HttpResponse:
    """Empty the cart."""
    services.clear_cart(customer_id=request.principal.key)
    return HttpResponse(status=204)


@router.post("cart/checkout", response={201: OrderOut})
def check_out(request: Request, body: CheckoutIn) -> HttpResponse:
    """Make the cart an order; it waits for its payment."""
    customer_id = request.principal.key
    order = services.checkout(
        order_id=resource_id(request, "ordering", near=customer_id),
        customer_id=customer_id,
        shipping_address=body.shipping_address.model_dump(),
        expected_total=_money(body.expected_total),
        within_effect=answering(request, _created_order),
    )
    return _created_order(order)


@router.post("orders", response={201: OrderOut})
def place_order(request: Request, body: OrderIn) -> HttpResponse:
    """Place an order; it waits for its payment."""
    customer_id = request.principal.key
    lines = [
        OrderLineRequest(
            variant_id=str(from_request("var", line.variant_id, f"lines.{place}.variant_id")),
            quantity=line.quantity,
        )
        for place, line in enumerate(body.lines)
    ]
    new = services.NewOrder(
        order_id=resource_id(request, "ordering", near=customer_id),
        customer_id=customer_id,
        lines=lines,
        shipping_address=body.shipping_address.model_dump(),
        expected_total=_money(body.expected_total),
    )
    order = services.place_order(new, within_effect=answering(request, _created_order))
    return _created_order(order)


@router.get("orders", response={200: OrderList})
def list_orders(request: Request) -> HttpResponse:
    """The caller's orders; for staff everybody's."""
    limit = limit_of(request.GET)
    if request.principal.role == "customer":
        name = f"orders:{request.principal.id}"
        page = services.orders_of_customer(
            customer_id=request.principal.key, limit=limit, after=position(name, request.GET)
        )
    else:
        name = "orders"
        page = services.orders_of_shop(limit=limit, after=position(name, request.GET))
    after = cursor(name, page.next_position) if page.next_position else None
    return answer(200, OrderList(data=[OrderOut.of(order) for order in page.orders], next_cursor=after))


@router.get("orders/{order_id}", response={200: OrderOut})
def get_order(request: Request, order_id: str) -> HttpResponse:
    """One order."""
    order = services.get_order(order_id=from_path("ord", order_id), reader=request.principal)
    return answer(200, OrderOut.of(order))


@router.post("orders/{order_id}/payments", response={201: PaymentOut})
def pay_order(request: Request, order_id: str, body: PaymentIn) -> HttpResponse:
    """Pay an order; the provider's answer is settled before this one goes out."""
    customer_id = request.principal.key
    payment = services.pay(
        payment_id=resource_id(request, "ordering", near=customer_id),
        order_id=from_path("ord", order_id),
        customer_id=customer_id,
        provider=body.provider,
        token=body.token,
        within_effect=answering(request, _created_payment),
    )
    return _created_payment(payment)
