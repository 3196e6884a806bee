"""The operations that the API promises, by hand: what clients were told, against which the document is held.

One line per operation: method and path, status of success, who, problem codes of its own. ``K``: it needs a key.
"""

from dataclasses import dataclass

TABLE = """
auth POST   /register 201  anyone email_taken
auth POST   /token 200  anyone invalid_credentials
auth POST   /staff/token 200  anyone invalid_credentials
auth POST   /token/refresh 200  anyone token_invalid token_reused
auth POST   /token/revoke 204  anyone
auth POST   /password-reset 202  anyone
auth POST   /password-reset/confirm 204  anyone token_invalid password_too_weak
auth GET    /me 200  customer
auth PATCH  /me 200  customer
auth DELETE /me 204  customer invalid_credentials
auth GET    /me/export 200  customer
auth POST   /me/password 204  customer invalid_credentials password_too_weak
auth GET    /me/addresses 200  customer
auth POST   /me/addresses 201  customer
auth PATCH  /me/addresses/{address_id} 200  customer
auth DELETE /me/addresses/{address_id} 204  customer
catalog GET    /categories 200  anyone
catalog GET    /categories/{category_id} 200  anyone
catalog POST   /categories 201  catalog_editor slug_taken
catalog PATCH  /categories/{category_id} 200  catalog_editor slug_taken
catalog DELETE /categories/{category_id} 204  catalog_editor category_not_empty
catalog GET    /products 200  anyone invalid_cursor
catalog GET    /products/{product_id} 200  anyone
catalog POST   /products 201K catalog_editor sku_taken category_not_found
catalog PATCH  /products/{product_id} 200  catalog_editor version_mismatch
catalog DELETE /products/{product_id} 204  catalog_editor
catalog POST   /products/{product_id}/variants 201K catalog_editor sku_taken
catalog PATCH  /variants/{variant_id} 200  catalog_editor
catalog GET    /variants 200  anyone
catalog GET    /variants/{variant_id}/stock 200  staff
catalog POST   /variants/{variant_id}/stock/adjustments 201K catalog_editor stock_would_be_negative
catalog GET    /variants/{variant_id}/stock/movements 200  staff
ordering GET    /cart 200  customer
ordering PUT    /cart/lines/{variant_id} 200  customer variant_not_found not_for_sale
ordering DELETE /cart 204  customer
ordering POST   /cart/checkout 201K customer cart_empty out_of_stock total_changed
ordering POST   /orders 201K customer out_of_stock total_changed not_for_sale \
currency_mismatch variant_not_found duplicate_line
ordering GET    /orders 200  customer,staff invalid_cursor
ordering GET    /orders/{order_id} 200  customer,staff
ordering GET    /orders/{order_id}/timeline 200  customer,staff
ordering POST   /orders/{order_id}/payments 201K customer payment_declined order_not_payable \
payment_in_progress
ordering POST   /orders/{order_id}/cancel 200K customer,order_desk order_not_cancellable
ordering POST   /orders/{order_id}/shipments 201K order_desk invalid_transition
ordering POST   /orders/{order_id}/deliver 200K order_desk invalid_transition
ordering POST   /orders/{order_id}/refunds 201K order_desk refund_exceeds_payment
ordering POST   /payments/webhooks/{provider} 200  anyone invalid_signature
"""
AT_THE_ROOT = ("get", "/.well-known/jwks.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One operation of the table."""

    context: str
    method: str
    path: str
    success: str
    needs_key: bool
    roles: tuple[str, ...]
    codes: frozenset[str]


def promises() -> list[Promise]:
    return [_promise(line) for line in TABLE.splitlines() if line]


def _promise(line: str) -> Promise:
    context, method, path, success, who, *codes = line.split()
    return Promise(
        context=context,
        method=method.lower(),
        path=f"/api/v1/{context}{path}",
        success=success.removesuffix("K"),
        needs_key=success.endswith("K"),
        roles=() if who == "anyone" else tuple(who.split(",")),
        codes=frozenset(codes),
    )
