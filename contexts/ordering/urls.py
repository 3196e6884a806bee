"""Addresses of ordering, under `/api/v1/ordering/`, and who may call what."""

from contexts.ordering.api import router
from shop.gateway.routes import Key, Route, Who
from shop.http.ninja import make_api

ROUTES = (
    Route(method="GET", path="cart", who=Who.CUSTOMER),
    Route(method="DELETE", path="cart", who=Who.CUSTOMER),
    Route(method="PUT", path="cart/lines/<variant_id>", who=Who.CUSTOMER, has_body=True),
    Route(method="POST", path="cart/checkout", who=Who.CUSTOMER, key=Key.REQUIRED, has_body=True),
    Route(method="POST", path="orders", who=Who.CUSTOMER, key=Key.REQUIRED, has_body=True),
    Route(method="GET", path="orders", who=Who.CUSTOMER_OR_STAFF),
    Route(method="GET", path="orders/<order_id>", who=Who.CUSTOMER_OR_STAFF),
    Route(method="GET", path="orders/<order_id>/timeline", who=Who.CUSTOMER_OR_STAFF),
    Route(method="POST", path="orders/<order_id>/payments", who=Who.CUSTOMER, key=Key.REQUIRED, has_body=True),
    Route(
        method="POST",
        path="orders/<order_id>/cancel",
        who=Who.CUSTOMER_OR_STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        has_body=True,
    ),
    Route(
        method="POST",
        path="orders/<order_id>/shipments",
        who=Who.STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        has_body=True,
    ),
    Route(method="POST", path="orders/<order_id>/deliver", who=Who.STAFF, role="order_desk", key=Key.REQUIRED),
    Route(
        method="POST",
        path="orders/<order_id>/refunds",
        who=Who.STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        has_body=True,
    ),
)

api = make_api("ordering")
api.add_router("", router)
app_name = "ordering"
urlpatterns = api.urls[0]
