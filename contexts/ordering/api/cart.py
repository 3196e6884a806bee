"""Operations on the cart. Who may call them stands in the route table in `urls`."""

from django.http import HttpResponse
from ninja import Router

from contexts.ordering import services
from contexts.ordering.api.answers import CartOut, OrderOut
from contexts.ordering.api.bodies import CheckoutIn, QuantityIn
from contexts.ordering.api.calling import Request, created_order, money
from contexts.ordering.api.shown import cart_json
from shop.http.idempotency import answering, is_repeated, resource_id
from shop.http.ids import from_path
from shop.http.rendering import answer

router = Router()


@router.get("cart", response={200: CartOut})
def show_cart(request: Request) -> HttpResponse:
    """The caller's cart."""
    return answer(cart_json(services.show_cart(customer_id=request.principal.key)))


@router.put("cart/lines/{variant_id}", response={200: CartOut})
def put_cart_line(request: Request, variant_id: str, body: QuantityIn) -> HttpResponse:
    """Let the cart hold so many pieces of a variant."""
    cart = services.put_line(
        customer_id=request.principal.key, variant_id=from_path("var", variant_id), quantity=body.quantity
    )
    return answer(cart_json(cart))


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
        expected_total=money(body.expected_total),
        repeated=is_repeated(request),
        within_effect=answering(request, created_order),
    )
    return created_order(order)
