"""What answers of ordering say: views as JSON. Their shapes stand in `answers`; the operations come in here."""

from collections.abc import Sequence
from typing import Any, Final

from contexts.ordering.services import (
    CartLineView,
    CartView,
    LineView,
    OrderView,
    PaymentView,
    RefundView,
    ShipmentView,
    TimelineView,
)
from shop.http.rendering import moment, money
from shop.sharding.public_ids import order_number, public_id

ADDRESS: Final = ("name", "line1", "line2", "city", "region", "postal_code", "country")


def order_json(order: OrderView) -> dict[str, Any]:
    currency = order.currency
    return {
        "id": public_id("ord", order.id),
        "number": order_number(order.id),
        "customer_id": public_id("cus", order.customer_id),
        "status": order.status,
        "payment_status": order.payment_status,
        "fulfilment_status": order.fulfilment_status,
        "currency": currency,
        "lines": [_line_json(line, currency) for line in order.lines],
        "subtotal": money(order.subtotal, currency),
        "discount_total": money(order.discount_total, currency),
        "shipping_total": money(order.shipping_total, currency),
        "tax_total": money(order.tax_total, currency),
        "total": money(order.total, currency),
        "shipping_address": {name: order.shipping_address[name] for name in ADDRESS},
        "payments": [payment_json(payment) for payment in order.payments],
        "shipments": [shipment_json(shipment) for shipment in order.shipments],
        "refunds": [refund_json(refund) for refund in order.refunds],
        "expires_at": moment(order.expires_at),
        "created_at": moment(order.created_at),
        "placed_at": moment(order.placed_at) if order.placed_at else None,
        "updated_at": moment(order.updated_at),
    }


def _line_json(line: LineView, currency: str) -> dict[str, Any]:
    return {
        "variant_id": public_id("var", line.variant_id),
        "product_id": public_id("prd", line.product_id),
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": money(line.unit_price, currency),
        "total": money(line.total, currency),
    }


def payment_json(payment: PaymentView) -> dict[str, Any]:
    return {
        "id": public_id("pay", payment.id),
        "order_id": public_id("ord", payment.order_id),
        "provider": payment.provider,
        "status": payment.status,
        "amount": money(payment.amount, payment.currency),
        "client_secret": payment.client_secret or None,
        "failure_code": payment.failure_code or None,
        "created_at": moment(payment.created_at),
    }


def shipment_json(shipment: ShipmentView) -> dict[str, Any]:
    return {
        "id": public_id("shp", shipment.id),
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "created_at": moment(shipment.created_at),
        "delivered_at": moment(shipment.delivered_at) if shipment.delivered_at else None,
    }


def refund_json(refund: RefundView) -> dict[str, Any]:
    return {
        "id": public_id("ref", refund.id),
        "amount": money(refund.amount, refund.currency),
        "reason": refund.reason,
        "status": refund.status,
        "created_at": moment(refund.created_at),
    }


def cart_json(cart: CartView) -> dict[str, Any]:
    return {
        "version": cart.version,
        "lines": [_cart_line_json(line) for line in cart.lines],
        "total": money(cart.total.amount, cart.total.currency) if cart.total else None,
    }


def _cart_line_json(line: CartLineView) -> dict[str, Any]:
    currency = line.unit_price.currency
    return {
        "variant_id": public_id("var", line.variant_id),
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": money(line.unit_price.amount, currency),
        "total": money(line.total, currency),
        "available": line.available,
    }


def timeline_json(entries: Sequence[TimelineView]) -> dict[str, Any]:
    return {"data": [{"at": moment(each.at), "type": each.type, "data": dict(each.data)} for each in entries]}
