"""Every operation of the route table, and a request of each that is good: what hostile ones are made from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import get_resolver

from contexts.ordering.services.providers.fake import SIGNATURE
from contexts.ordering.tests.webhooks import signature
from shop.gateway import routes
from shop.gateway.routes import Key, Route, Who
from tests.security.calling import Answer, call
from tests.security.hostile_values import new_key, text_of
from tests.security.world import PASSWORD, World

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "line2": "Top floor",
    "city": "London",
    "region": "Greater London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}
PRICE = {"amount": 1299, "currency": "GBP"}
VARIANT = {"sku": "CUP-1", "price": PRICE, "options": {"size": "M"}, "stock": 3}


@dataclass(frozen=True, kw_only=True)
class Good:
    """What makes a request of an operation a good one: its body, the IDs in its path, its query, who signs it."""

    body: Any = None
    path: dict[str, str] = field(default_factory=dict)
    query: str = ""
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A method at a path template."""

    template: str
    route: Route

    def __str__(self) -> str:
        return f"{self.route.method} /{self.template}"

    def good(self, world: World) -> Good:
        return GOOD[str(self)](world)

    def caller(self, world: World) -> str:
        """Token of somebody who may."""
        return {Who.ANYONE: "", Who.READER: "", Who.STAFF: world.staff}.get(self.route.who, world.customer)

    def url(self, good: Good, **ids: str) -> str:
        address = "/" + self.template
        for name, value in {**good.path, **ids}.items():
            address = address.replace(f"<{name}>", value)
        return address + good.query

    def send(self, world: World, good: Good, body: Any = ..., *, url: str = "", **more: Any) -> Answer:
        """The good request with another body, as JSON or as bytes; or, with ``url``, to another address."""
        sent = good.body if body is ... else body
        nothing = sent is None and not self.route.has_body
        content = None if nothing else sent if isinstance(sent, bytes) else text_of(sent)
        headers = {} if self.route.key is Key.IGNORED else {"Idempotency-Key": new_key()}
        token = more.pop("token", self.caller(world))
        signed = {SIGNATURE: signature(content or b"")} if good.signed else {}
        given = {**headers, **signed, **more.pop("headers", {})}
        return call(self.route.method, url or self.url(good), content, token=token, headers=given, **more)


def operations() -> list[Operation]:
    """All there are."""
    get_resolver().url_patterns  # noqa: B018  what is mounted enters itself in the table
    return [
        Operation(template=template, route=route)
        for template, methods in routes._table.items()
        for route in methods.values()
    ]


def with_body() -> list[Operation]:
    return [each for each in operations() if each.route.has_body]


def with_fields() -> list[Operation]:
    """Those whose body we shape; a provider's report is stored as it is signed, whatever it says."""
    return [each for each in with_body() if "/webhooks/" not in each.template]


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every part of a body with the way to it, the whole one first."""
    yield place, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from places(part, (*place, name))


def replaced(body: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """``body`` with another value at a place; a dict gets a field that it had not."""
    if not place:
        return value
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    first, *rest = place
    copy[first] = replaced(copy[first] if rest else None, tuple(rest), value)
    return copy


def _auth() -> dict[str, Callable[[World], Good]]:
    root = "/api/v1/auth"
    own = {"password": PASSWORD}
    return {
        f"POST {root}/register": lambda w: Good(body={"email": "new@example.org", "name": "Ada", **own}),
        f"POST {root}/token": lambda w: Good(body={"email": w.email, **own}),
        f"POST {root}/staff/token": lambda w: Good(body={"email": w.staff_email, **own}),
        f"POST {root}/token/refresh": lambda w: Good(body={"refresh": w.refresh}),
        f"POST {root}/token/revoke": lambda w: Good(body={"refresh": w.other_refresh}),
        # Another address each time: too many for one are refused.
        f"POST {root}/password-reset": lambda w: Good(body={"email": f"{new_key()}@example.org"}),
        f"POST {root}/password-reset/confirm": lambda w: Good(
            body={"token": w.reset, "new_password": "a horse of another colour"}
        ),
        f"GET {root}/me": lambda w: Good(),
        f"PATCH {root}/me": lambda w: Good(body={"name": "Ada King"}),
        f"DELETE {root}/me": lambda w: Good(body=own),
        f"GET {root}/me/export": lambda w: Good(),
        f"POST {root}/me/password": lambda w: Good(
            body={"current_password": PASSWORD, "new_password": "a horse of another colour"}
        ),
        f"GET {root}/me/addresses": lambda w: Good(),
        f"POST {root}/me/addresses": lambda w: Good(body=ADDRESS),
        f"PATCH {root}/me/addresses/<address_id>": lambda w: Good(body=ADDRESS, path={"address_id": w.address}),
        f"DELETE {root}/me/addresses/<address_id>": lambda w: Good(path={"address_id": w.address}),
    }


def _catalog() -> dict[str, Callable[[World], Good]]:
    root = "/api/v1/catalog"
    category, product = f"{root}/categories/<category_id>", f"{root}/products/<product_id>"
    variant = f"{root}/variants/<variant_id>"
    shown = {"name": "Cup", "description": "For tea.", "attributes": {"colour": "blue"}, "status": "active"}
    return {
        f"GET {root}/categories": lambda w: Good(),
        f"POST {root}/categories": lambda w: Good(body={"name": "Cups", "slug": "cups", "parent_id": w.category}),
        f"GET {category}": lambda w: Good(path={"category_id": w.category}),
        f"PATCH {category}": lambda w: Good(
            body={"name": "Tea", "slug": "tea", "parent_id": w.category}, path={"category_id": w.empty_category}
        ),
        f"DELETE {category}": lambda w: Good(path={"category_id": w.empty_category}),
        f"GET {root}/products": lambda w: Good(query=f"?category={w.category}"),
        f"POST {root}/products": lambda w: Good(body={**shown, "category_id": w.category, "variants": [VARIANT]}),
        f"GET {product}": lambda w: Good(path={"product_id": w.product}),
        f"PATCH {product}": lambda w: Good(body={**shown, "category_id": w.category}, path={"product_id": w.product}),
        f"DELETE {product}": lambda w: Good(path={"product_id": w.product}),
        f"POST {product}/variants": lambda w: Good(body={**VARIANT, "sku": "CUP-2"}, path={"product_id": w.product}),
        f"GET {root}/variants": lambda w: Good(query=f"?ids={w.variant}"),
        f"PATCH {variant}": lambda w: Good(
            body={"price": PRICE, "options": {"size": "L"}}, path={"variant_id": w.variant}
        ),
        f"GET {variant}/stock": lambda w: Good(path={"variant_id": w.variant}),
        f"POST {variant}/stock/adjustments": lambda w: Good(
            body={"delta": 5, "reason": "found some"}, path={"variant_id": w.variant}
        ),
        f"GET {variant}/stock/movements": lambda w: Good(path={"variant_id": w.variant}),
    }


def _ordering() -> dict[str, Callable[[World], Good]]:
    root = "/api/v1/ordering"
    order = f"{root}/orders/<order_id>"
    to = {"shipping_address": ADDRESS, "expected_total": {"amount": 2598, "currency": "GBP"}}
    return {
        f"GET {root}/cart": lambda w: Good(),
        f"DELETE {root}/cart": lambda w: Good(),
        f"PUT {root}/cart/lines/<variant_id>": lambda w: Good(body={"quantity": 2}, path={"variant_id": w.variant}),
        f"POST {root}/cart/checkout": lambda w: Good(body=to),
        f"POST {root}/orders": lambda w: Good(body={**to, "lines": [{"variant_id": w.variant, "quantity": 2}]}),
        f"GET {root}/orders": lambda w: Good(),
        f"GET {order}": lambda w: Good(path={"order_id": w.pending}),
        f"GET {order}/timeline": lambda w: Good(path={"order_id": w.pending}),
        f"POST {order}/payments": lambda w: Good(
            body={"provider": "fake", "token": "tok_ok"}, path={"order_id": w.pending}
        ),
        f"POST {order}/cancel": lambda w: Good(body={"reason": "too late"}, path={"order_id": w.to_cancel}),
        f"POST {order}/shipments": lambda w: Good(
            body={"carrier": "Royal Mail", "tracking_number": "AB123456789GB"}, path={"order_id": w.paid}
        ),
        f"POST {order}/deliver": lambda w: Good(path={"order_id": w.shipped}),
        f"POST {order}/refunds": lambda w: Good(
            body={"amount": {"amount": 100, "currency": "GBP"}, "reason": "a chipped spout"},
            path={"order_id": w.shipped},
        ),
        f"POST {root}/payments/webhooks/<provider>": lambda w: Good(
            body={"id": "evt_1", "type": "payment.captured", "data": {"payment_id": "pay_0"}},
            path={"provider": "fake"},
            signed=True,
        ),
    }


GOOD: dict[str, Callable[[World], Good]] = {**_auth(), **_catalog(), **_ordering()}
