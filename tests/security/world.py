"""A small shop with two customers and a member of staff in it, and all that is stored of it."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connections

from contexts.auth.models import PasswordReset
from contexts.auth.services import write_to_customer
from shop.contract import Principal
from shop.gateway.tokens import mint
from shop.http.idempotency import KEPT_STATUS
from shop.sharding import aliases_of
from shop.sharding.public_ids import number_of
from shop.sharding.readiness import all_aliases
from shop.staff.models import StaffUser
from tests.plugin import make_principal
from tests.security.calling import call
from tests.security.hostile_values import new_key

PASSWORD = "correct horse battery"
ADDRESS = {"name": "Ada", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}
# what a process notes about itself, and answers kept under a key as the API promises
NOT_BUSINESS = ("shop_workerlease", "shop_duty", "shop_relayduty", "django_session", "django_migrations")


@dataclass(kw_only=True)
class World:
    """IDs and tokens; ``theirs`` are things of the other customer."""

    customer: str
    other: str
    staff: str
    email: str
    staff_email: str
    refresh: str
    other_refresh: str
    reset: str
    category: str
    empty_category: str
    product: str
    variant: str
    address: str
    pending: str
    to_cancel: str
    paid: str
    shipped: str
    theirs: dict[str, str]


def make_world() -> World:
    """The shop, made over its own API."""
    staff = mint(make_principal("staff", "superuser"))
    member = StaffUser.objects.create_user("desk@example.org", PASSWORD, is_superuser=True)
    category = _post("catalog/categories", {"name": "Shelf"}, staff)["id"]
    empty_category = _post("catalog/categories", {"name": "Corner"}, staff)["id"]
    variant = {"sku": "MUG-1", "price": {"amount": 1299, "currency": "GBP"}, "stock": 1_000}
    product = _post("catalog/products", {"name": "Mug", "category_id": category, "variants": [variant]}, staff)
    customer, other = _account("ada@example.org"), _account("grace@example.org")
    sold = product["variants"][0]["id"]
    _post("auth/me/addresses", ADDRESS, customer)
    signed_in = [_post("auth/token", {"email": "ada@example.org", "password": PASSWORD})["refresh"] for _ in range(2)]
    return World(
        customer=customer,
        other=other,
        staff=staff,
        email="ada@example.org",
        staff_email=member.email,
        refresh=signed_in[0],
        other_refresh=signed_in[1],
        reset=_reset_token("grace@example.org"),
        category=category,
        empty_category=empty_category,
        product=product["id"],
        variant=sold,
        theirs={
            "address_id": _post("auth/me/addresses", ADDRESS, other)["id"],
            "order_id": _paid(_order(sold, other), other),
        },
        **things_of(customer, sold, staff),
    )


def things_of(customer: str, variant: str, staff: str) -> dict[str, Any]:
    """What the world has of a customer, made with the tokens of both: something in the cart, an address, orders."""
    _put(f"ordering/cart/lines/{variant}", {"quantity": 2}, customer)
    shipped = _paid(_order(variant, customer), customer)
    _post(f"ordering/orders/{shipped}/shipments", {"carrier": "Royal Mail", "tracking_number": "AB1"}, staff)
    return {
        "address": _post("auth/me/addresses", ADDRESS, customer)["id"],
        "pending": _order(variant, customer),
        "to_cancel": _order(variant, customer),
        "paid": _paid(_order(variant, customer), customer),
        "shipped": shipped,
    }


def stored() -> dict[str, Counter[str]]:
    """Every row of every database, by table."""
    found: dict[str, Counter[str]] = {}
    for table, row in every_row():
        found.setdefault(table, Counter()).update([repr(row)])
    return found


def every_row() -> Iterator[tuple[str, dict[str, Any]]]:
    """Table, with its database's alias before it, and values by column, of every row that is business."""
    for alias in all_aliases():
        connection = connections[alias]
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                if table not in NOT_BUSINESS:
                    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  a name from the database itself
                    names = [column[0] for column in cursor.description]
                    rows = (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
                    yield from ((f"{alias}.{table}", row) for row in rows if row.get("status") not in KEPT_STATUS)


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside leaves nothing behind in any database, within a test's transaction."""
    points = {alias: str(connections[alias].savepoint()) for alias in all_aliases()}
    try:
        yield
    finally:
        for alias, point in points.items():
            connections[alias].savepoint_rollback(point)


def changes(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> list[str]:
    """Rows that are there more or less often than they were."""
    nothing: Counter[str] = Counter()
    gone = [f"- {name}: {row}" for name, rows in before.items() for row in rows - after.get(name, nothing)]
    return gone + [f"+ {name}: {row}" for name, rows in after.items() for row in rows - before.get(name, nothing)]


def _post(path: str, body: Any, token: str = "") -> Any:
    return _done(call("POST", f"/api/v1/{path}", json.dumps(body).encode(), token=token, headers=_key()))


def _put(path: str, body: Any, token: str) -> Any:
    return _done(call("PUT", f"/api/v1/{path}", json.dumps(body).encode(), token=token))


def _done(answer: Any) -> Any:
    assert answer.status in (200, 201), answer.body
    return answer.json


def _key() -> dict[str, str]:
    return {"Idempotency-Key": new_key()}


def _account(email: str) -> str:
    """A new customer's access token."""
    shown = _post("auth/register", {"email": email, "password": PASSWORD})
    return mint(Principal(id=str(number_of("cus", shown["id"])), role="customer", session_id="fam_of_a_test"))


def _reset_token(email: str) -> str:
    """What the mail to this customer says, who is signed in somewhere."""
    _post("auth/token", {"email": email, "password": PASSWORD})
    assert call("POST", "/api/v1/auth/password-reset", json.dumps({"email": email}).encode()).status == 202
    [reset] = [row for alias in aliases_of("auth") for row in PasswordReset.objects.using(alias)]
    letter = write_to_customer(reset.pk)
    assert letter is not None
    return token_in(letter.text)


def token_in(mail: str) -> str:
    """The token for a new password that a mail holds."""
    [token] = re.findall(r"rst_\w+\.[0-9a-f]{64}", mail)
    return str(token)


def _order(variant: str, token: str) -> str:
    body = {"lines": [{"variant_id": variant, "quantity": 1}], "shipping_address": ADDRESS}
    return str(_post("ordering/orders", body, token)["id"])


def _paid(order: str, token: str) -> str:
    _post(f"ordering/orders/{order}/payments", {"provider": "fake", "token": "tok_ok"}, token)
    return order
