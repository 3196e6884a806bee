"""Staff and customers of an end-to-end story, known by what they can do over HTTP."""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.shopserver import STAFF, Answer, ShopServer

ADDRESS = {"name": "Ada", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}
PASSWORD = "correct horse battery staple"
ASKED_AT_ONCE = 24
"""On as many connections: each of two workers has some of them."""


def in_parallel[R](work: Sequence[Callable[[], R]], threads: int = 40) -> list[R]:
    """Results of all, in their order; all begin as nearly at once as threads can."""
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(one) for one in work]]


class Staff:
    """Makes products and looks at stock."""

    def __init__(self, shop: ShopServer) -> None:
        self.shop = shop
        self.sign_in()

    def sign_in(self) -> None:
        """For the next five minutes."""
        self.token = self.shop.call("POST", "/api/v1/auth/staff/token", STAFF).json["access"]

    def product(self, name: str, stock: int, price: int = 1299, category: str | None = None) -> str:
        """A new product with one variant; returns the variant's ID."""
        category = category or self.category()
        variant = {"sku": secrets.token_hex(4), "price": {"amount": price, "currency": "EUR"}, "stock": stock}
        body = {"name": name, "category_id": category, "variants": [variant]}
        answer = self.shop.call("POST", "/api/v1/catalog/products", body, self.token, key=secrets.token_hex(8))
        assert answer.status == 201, answer.body
        return str(answer.json["variants"][0]["id"])

    def category(self) -> str:
        """A new category, hence a bucket of its own."""
        answer = self.shop.call("POST", "/api/v1/catalog/categories", {"name": secrets.token_hex(4)}, self.token)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def orders(self) -> list[dict[str, Any]]:
        """Everybody's, page by page."""
        return _pages(self.shop, self.token)

    def post(self, order: dict[str, Any], step: str, body: dict[str, Any]) -> Answer:
        """A step of the order desk: `shipments`, `deliver`, `refunds`, `cancel`."""
        path = f"/api/v1/ordering/orders/{order['id']}/{step}"
        return self.shop.call("POST", path, body, self.token, key=secrets.token_hex(8))

    def stock(self, variant: str) -> dict[str, int]:
        found: dict[str, int] = self.shop.call(
            "GET", f"/api/v1/catalog/variants/{variant}/stock", token=self.token
        ).json
        return found


class Customer:
    """Registers, signs in, orders, pays."""

    def __init__(self, shop: ShopServer) -> None:
        self.shop = shop
        self.email = f"{secrets.token_hex(6)}@example.com"
        self.who = {"email": self.email, "password": PASSWORD}
        assert shop.call("POST", "/api/v1/auth/register", self.who).status == 201
        self.sign_in()

    def sign_in(self) -> None:
        """For the next five minutes."""
        self.token = self.shop.call("POST", "/api/v1/auth/token", self.who).json["access"]

    def order(self, *lines: tuple[str, int], key: str = "") -> Answer:
        wanted = [{"variant_id": variant, "quantity": pieces} for variant, pieces in lines]
        body = {"lines": wanted, "shipping_address": ADDRESS}
        return self.shop.call("POST", "/api/v1/ordering/orders", body, self.token, key or secrets.token_hex(8))

    def put(self, variant: str, pieces: int) -> Answer:
        path = f"/api/v1/ordering/cart/lines/{variant}"
        return self.shop.call("PUT", path, {"quantity": pieces}, self.token)

    def check_out(self, key: str = "") -> Answer:
        body = {"shipping_address": ADDRESS}
        return self.shop.call("POST", "/api/v1/ordering/cart/checkout", body, self.token, key or secrets.token_hex(8))

    def pay(self, order: dict[str, Any], token: str = "tok_ok", key: str = "") -> Answer:
        path = f"/api/v1/ordering/orders/{order['id']}/payments"
        return self.shop.call(
            "POST", path, {"provider": "fake", "token": token}, self.token, key or secrets.token_hex(8)
        )

    def read(self, order: dict[str, Any]) -> Any:
        return self.shop.call("GET", f"/api/v1/ordering/orders/{order['id']}", token=self.token).json

    def orders(self) -> list[dict[str, Any]]:
        """All of them, page by page."""
        return _pages(self.shop, self.token)

    def cancel(self, order: dict[str, Any]) -> Answer:
        path = f"/api/v1/ordering/orders/{order['id']}/cancel"
        return self.shop.call("POST", path, {}, self.token, key=secrets.token_hex(8))


def _pages(shop: ShopServer, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        suffix = f"&cursor={cursor}" if cursor else ""
        page = shop.call("GET", f"/api/v1/ordering/orders?limit=100{suffix}", token=token).json
        found += page["data"]
        cursor = page["next_cursor"]
    return found


def money_apart(staff: Staff) -> dict[str, tuple[int, int]]:
    """Orders of which the fake provider holds another sum than the shop says: (the provider's, ours), minor units."""
    listed = json.loads(staff.shop.manage("fake_payments", "list", "--json").stdout)
    theirs = {row["payment_id"]: row["amount"] - row["refunded"] for row in listed if row["status"] == "captured"}
    apart: dict[str, tuple[int, int]] = {}
    for order in staff.orders():
        taken = [p["amount"]["amount"] for p in order["payments"] if p["status"] == "captured"]
        back = [r["amount"]["amount"] for r in order["refunds"] if r["status"] == "succeeded"]
        held = sum(theirs.pop(payment["id"], 0) for payment in order["payments"])
        if held != sum(taken) - sum(back):
            apart[order["id"]] = held, sum(taken) - sum(back)
    return apart | {payment: (held, 0) for payment, held in theirs.items() if held}


def eventually(look: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until ``look`` holds."""
    give_up = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.1)
