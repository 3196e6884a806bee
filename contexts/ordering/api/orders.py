"""Operations on orders. Who may call them stands in the route table in `urls`."""

from typing import Final

from django.http import HttpResponse
from ninja import Router

from contexts.ordering import services
from contexts.ordering.api.answers import OrderList, OrderOut, PaymentOut, RefundOut, ShipmentOut, TimelineOut
from contexts.ordering.api.bodies import CancelIn, OrderIn, PaymentIn, RefundIn, ShipmentIn
from contexts.ordering.api.calling import Request, created_order, money
from contexts.ordering.api.shown import order_json, payment_json, refund_json, shipment_json, timeline_json
from contexts.ordering.contract import OrderLineRequest
from contexts.ordering.domain import AttemptStatus, FulfilmentStatus, OrderStatus, PaymentStatus
from contexts.ordering.services import OrderView, PaymentView, RefundView, ShipmentView
from shop.contract import Fault, InvalidError
from shop.http.idempotency import answering, is_repeated, never_kept, resource_id
from shop.http.ids import from_path, from_request, id_schema
from shop.http.paging import PAGE, cursor, limit_of, position
from shop.http.parameters import Parameter
from shop.http.rendering import answer

STATUSES: Final = {
    "status": tuple(OrderStatus),
    "payment_status": tuple(PaymentStatus),
    "fulfilment_status": tuple(FulfilmentStatus),
}
ORDERS: Final = (
    *(
        Parameter(
            name=name, schema={"type": "string", "enum": list(values)}, description=f"Only those with this {name}."
        )
        for name, values in STATUSES.items()
    ),
    Parameter(name="customer_id", schema=id_schema("cus"), description="For staff: only this customer's."),
    *PAGE,
)

router = Router()


def _order(order: OrderView) -> HttpResponse:
    return answer(order_json(order))


def _created_payment(payment: PaymentView) -> HttpResponse:
    return answer(payment_json(payment), status=201)


def _created_shipment(shipment: ShipmentView) -> HttpResponse:
    return answer(shipment_json(shipment), status=201)


def _created_refund(refund: RefundView) -> HttpResponse:
    return answer(refund_json(refund), status=201)


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
        expected_total=money(body.expected_total),
        repeated=is_repeated(request),
    )
    order = services.place_order(new, within_effect=answering(request, created_order))
    return created_order(order)


def _filter_of(request: Request) -> services.OrderFilter:
    """`?status=&payment_status=&fulfilment_status=`."""
    given = {name: request.GET.get(name) for name in STATUSES}
    for name, value in given.items():
        if value is not None and value not in STATUSES[name]:
            fault = Fault(field=name, code="unknown_status", detail=f"one of {', '.join(STATUSES[name])}")
            raise InvalidError(detail="there is no such status", faults=(fault,))
    return services.OrderFilter(**given)


def _whose(request: Request) -> int | None:
    """`?customer_id=`, which must be an ID whoever asks; customers see their own orders all the same."""
    given = request.GET.get("customer_id")
    asked = None if given is None else from_request("cus", given, "customer_id")
    return request.principal.key if request.principal.role == "customer" else asked


@router.get("orders", response={200: OrderList})
def list_orders(request: Request) -> HttpResponse:
    """The caller's orders; for staff everybody's."""
    limit, which = limit_of(request.GET), _filter_of(request)
    customer_id = _whose(request)
    name = f"orders:{customer_id or ''}:{which}"
    after_row = position(name, request.GET)
    if customer_id is not None:
        page = services.orders_of_customer(customer_id=customer_id, limit=limit, after=after_row, which=which)
    else:
        page = services.orders_of_shop(limit=limit, after=after_row, which=which)
    after = cursor(name, page.next_position) if page.next_position else None
    return answer({"data": [order_json(order) for order in page.orders], "next_cursor": after})


@router.get("orders/{order_id}", response={200: OrderOut})
def get_order(request: Request, order_id: str) -> HttpResponse:
    """One order."""
    return _order(services.get_order(order_id=from_path("ord", order_id), reader=request.principal))


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
    answer = _created_payment(payment)
    return never_kept(request, answer) if payment.status == AttemptStatus.REQUIRES_ACTION else answer


@router.get("orders/{order_id}/timeline", response={200: TimelineOut})
def show_timeline(request: Request, order_id: str) -> HttpResponse:
    """What happened to an order, oldest first."""
    entries = services.timeline_of(order_id=from_path("ord", order_id), reader=request.principal)
    return answer(timeline_json(entries))


@router.post("orders/{order_id}/cancel", response={200: OrderOut})
def cancel_order(request: Request, order_id: str, body: CancelIn) -> HttpResponse:
    """Cancel an order of which nothing is shipped."""
    number = from_path("ord", order_id)
    order = services.cancel_order(
        entry_id=resource_id(request, "ordering", near=number),
        order_id=number,
        caller=request.principal,
        reason=body.reason or request.principal.role,
        within_effect=answering(request, _order),
    )
    return _order(order)


@router.post("orders/{order_id}/shipments", response={201: ShipmentOut})
def ship_order(request: Request, order_id: str, body: ShipmentIn) -> HttpResponse:
    """Hand an order to a carrier."""
    number = from_path("ord", order_id)
    shipment = services.ship(
        shipment_id=resource_id(request, "ordering", near=number),
        order_id=number,
        carrier=body.carrier,
        tracking_number=body.tracking_number,
        within_effect=answering(request, _created_shipment),
    )
    return _created_shipment(shipment)


@router.post("orders/{order_id}/deliver", response={200: OrderOut})
def deliver_order(request: Request, order_id: str) -> HttpResponse:
    """Note that an order has arrived."""
    number = from_path("ord", order_id)
    order = services.deliver(
        entry_id=resource_id(request, "ordering", near=number),
        order_id=number,
        within_effect=answering(request, _order),
    )
    return _order(order)


@router.post("orders/{order_id}/refunds", response={201: RefundOut})
def refund_order(request: Request, order_id: str, body: RefundIn) -> HttpResponse:
    """Let money go back."""
    number = from_path("ord", order_id)
    refund = services.request_refund(
        refund_id=resource_id(request, "ordering", near=number),
        order_id=number,
        amount=money(body.amount),
        reason=body.reason,
        within_effect=answering(request, _created_refund),
    )
    return _created_refund(refund)
