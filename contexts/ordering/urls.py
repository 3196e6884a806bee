"""Addresses of ordering, under `/api/v1/ordering/`, and who may call what."""

from contexts.catalog.contract import (
    NotForSaleError,
    OutOfStockError,
    ReservationCancelledError,
    VariantNotFoundError,
)
from contexts.ordering.api import router
from contexts.ordering.api.orders import ORDERS
from contexts.ordering.contract import (
    CartEmptyError,
    CartFullError,
    CurrencyMismatchError,
    DuplicateLineError,
    InvalidSignatureError,
    InvalidTransitionError,
    OrderNotCancellableError,
    OrderNotPayableError,
    PaymentDeclinedError,
    PaymentInProgressError,
    RefundExceedsPaymentError,
    TotalChangedError,
    TotalTooLargeError,
    UnknownProviderError,
)
from contexts.ordering.services.providers import ProviderAway
from shop.contract import CALL_ERRORS
from shop.gateway.routes import Key, Route, Who
from shop.http.ninja import make_api
from shop.http.problems import InvalidIdError

IDS = {"order_id": "ord", "variant_id": "var"}
REFUSED = (
    *CALL_ERRORS,
    VariantNotFoundError,
    NotForSaleError,
    OutOfStockError,
    ReservationCancelledError,
    CurrencyMismatchError,
    TotalChangedError,
    TotalTooLargeError,
)
ROUTES = (
    Route(method="GET", path="cart", who=Who.CUSTOMER, errors=CALL_ERRORS),
    Route(method="DELETE", path="cart", who=Who.CUSTOMER),
    Route(
        method="PUT",
        path="cart/lines/<variant_id>",
        who=Who.CUSTOMER,
        has_body=True,
        errors=(*CALL_ERRORS, VariantNotFoundError, NotForSaleError, CartFullError),
    ),
    Route(
        method="POST",
        path="cart/checkout",
        who=Who.CUSTOMER,
        key=Key.REQUIRED,
        has_body=True,
        errors=(*REFUSED, CartEmptyError),
    ),
    Route(
        method="POST",
        path="orders",
        who=Who.CUSTOMER,
        key=Key.REQUIRED,
        has_body=True,
        errors=(*REFUSED, DuplicateLineError, InvalidIdError),
    ),
    Route(method="GET", path="orders", who=Who.CUSTOMER_OR_STAFF, query=ORDERS, errors=(InvalidIdError,)),
    Route(method="GET", path="orders/<order_id>", who=Who.CUSTOMER_OR_STAFF),
    Route(method="GET", path="orders/<order_id>/timeline", who=Who.CUSTOMER_OR_STAFF),
    Route(
        method="POST",
        path="orders/<order_id>/payments",
        who=Who.CUSTOMER,
        key=Key.REQUIRED,
        has_body=True,
        errors=(
            *CALL_ERRORS,
            PaymentDeclinedError,
            OrderNotPayableError,
            PaymentInProgressError,
            ProviderAway,
            UnknownProviderError,
        ),
    ),
    Route(
        method="POST",
        path="payments/webhooks/<provider>",
        who=Who.ANYONE,
        has_body=True,
        errors=(InvalidSignatureError,),
    ),
    Route(
        method="POST",
        path="orders/<order_id>/cancel",
        who=Who.CUSTOMER_OR_STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        has_body=True,
        errors=(*CALL_ERRORS, OrderNotCancellableError, ProviderAway),
    ),
    Route(
        method="POST",
        path="orders/<order_id>/shipments",
        who=Who.STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        has_body=True,
        errors=(*CALL_ERRORS, InvalidTransitionError),
    ),
    Route(
        method="POST",
        path="orders/<order_id>/deliver",
        who=Who.STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        errors=(InvalidTransitionError,),
    ),
    Route(
        method="POST",
        path="orders/<order_id>/refunds",
        who=Who.STAFF,
        role="order_desk",
        key=Key.REQUIRED,
        has_body=True,
        errors=(RefundExceedsPaymentError,),
    ),
)

api = make_api("ordering")
api.add_router("", router)
app_name = "ordering"
urlpatterns = api.urls[0]
