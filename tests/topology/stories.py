"""What people do with a shop, step by step, written from the API's page: the same whoever hosts which context."""

import hashlib
import hmac
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

from tests.e2e.people import ADDRESS, ASKED_AT_ONCE, PASSWORD, eventually
from tests.e2e.shopserver import STAFF, Answer, ShopServer
from tests.topology.recording import Recorder

AUTH, CATALOG, ORDERING = "/api/v1/auth", "/api/v1/catalog", "/api/v1/ordering"
NEW_PASSWORD = "another battery and another horse"


class Stage:
    """A shop, what is in it, and what was answered."""

    def __init__(self, shop: ShopServer, webhook_secret: str) -> None:
        self.shop, self.secret = shop, webhook_secret
        self.recorder = Recorder(shop)
        self.call = self.recorder.call
        self.staff = self.call("POST", f"{AUTH}/staff/token", STAFF).json["access"]
        self.category = self.call("POST", f"{CATALOG}/categories", {"name": "Pots"}, self.staff).json["id"]

    def product(self, name: str, stock: int, **more: Any) -> dict[str, Any]:
        """A product with one variant."""
        variant = {"sku": name.lower(), "price": {"amount": 1299, "currency": "EUR"}, "stock": stock}
        body = {"name": name, "category_id": self.category, "variants": [variant], **more}
        made: dict[str, Any] = self.call("POST", f"{CATALOG}/products", body, self.staff, key=f"product {name}").json
        return made

    def customer(self, name: str) -> str:
        """Somebody who has registered and signed in; returns the access token."""
        who = {"email": f"{name}@example.com", "password": PASSWORD}
        self.call("POST", f"{AUTH}/register", {**who, "name": name})
        return str(self.call("POST", f"{AUTH}/token", who).json["access"])

    def order(self, token: str, variant: str, pieces: int, key: str) -> Answer:
        body = {"lines": [{"variant_id": variant, "quantity": pieces}], "shipping_address": ADDRESS}
        return self.call("POST", f"{ORDERING}/orders", body, token, key=key)

    def pay(self, token: str, order: str, key: str, with_token: str = "tok_ok") -> Answer:
        body = {"provider": "fake", "token": with_token}
        return self.call("POST", f"{ORDERING}/orders/{order}/payments", body, token, key=key)

    def settled(self, path: str, token: str, **expected: Any) -> None:
        """Wait until something is so, and keep what is said then."""

        def look() -> bool:
            found = self.shop.call("GET", path, token=token).json
            return all(found.get(name) == value for name, value in expected.items())

        eventually(look, seconds=60)
        self.call("GET", path, token=token)

    def refused_by_every_worker(self, path: str, token: str) -> None:
        """Wait until whichever worker takes a connection refuses ``token``: each hears of its end by itself."""

        def look() -> bool:
            return all(self.shop.call("GET", path, token=token).status == 401 for _ in range(ASKED_AT_ONCE))

        eventually(look, seconds=5)


def from_registration_to_refund(stage: Stage) -> None:
    variant = stage.product("Teapot", stock=10)["variants"][0]["id"]
    ada = stage.customer("ada")
    stage.call("GET", f"{AUTH}/me", token=ada)
    stage.call("PATCH", f"{AUTH}/me", {"name": "Ada L."}, ada)
    stage.call("PUT", f"{ORDERING}/cart/lines/{variant}", {"quantity": 3}, ada)
    stage.call("GET", f"{ORDERING}/cart", token=ada)
    order = stage.call("POST", f"{ORDERING}/cart/checkout", {"shipping_address": ADDRESS}, ada, key="cart").json["id"]
    stage.pay(ada, order, "declined", "tok_declined")
    stage.pay(ada, order, "paid")
    stage.settled(f"{ORDERING}/orders/{order}", ada, payment_status="paid")
    stage.settled(f"{CATALOG}/variants/{variant}/stock", stage.staff, on_hand=7, reserved=0)
    parcel = {"carrier": "Post", "tracking_number": "1"}
    stage.call("POST", f"{ORDERING}/orders/{order}/shipments", parcel, stage.staff, key="ship")
    stage.call("POST", f"{ORDERING}/orders/{order}/deliver", {}, stage.staff, key="deliver")
    back = {"amount": {"amount": 1299, "currency": "EUR"}, "reason": "a chip"}
    stage.call("POST", f"{ORDERING}/orders/{order}/refunds", back, stage.staff, key="refund")
    stage.settled(f"{ORDERING}/orders/{order}", ada, payment_status="partially_refunded")
    stage.call("GET", f"{ORDERING}/orders/{order}/timeline", token=ada)


def a_day_of_staff(stage: Stage) -> None:
    pot = stage.product("Kettle", stock=2, status="draft", description="Boils.")
    product, variant = pot["id"], pot["variants"][0]["id"]
    stage.call("GET", f"{CATALOG}/products/{product}")
    stage.call("PATCH", f"{CATALOG}/products/{product}", {"status": "active"}, stage.staff)
    stage.call("GET", f"{CATALOG}/products?q=kettle")
    adjusted = {"delta": 5, "reason": "delivery"}
    stage.call("POST", f"{CATALOG}/variants/{variant}/stock/adjustments", adjusted, stage.staff, key="in")
    taken = {"delta": -50, "reason": "lost"}
    stage.call("POST", f"{CATALOG}/variants/{variant}/stock/adjustments", taken, stage.staff, key="out")
    stage.call("GET", f"{CATALOG}/variants/{variant}/stock/movements", token=stage.staff)
    stage.call("GET", f"{ORDERING}/orders?limit=1&status=completed", token=stage.staff)
    stage.call("DELETE", f"{CATALOG}/products/{product}", token=stage.staff)
    stage.call("GET", f"{CATALOG}/products/{product}")


def what_is_refused(stage: Stage) -> None:
    eve = stage.customer("eve")
    for method, path, body, token, key in (
        ("GET", f"{ORDERING}/nothing", None, "", ""),
        ("GET", "/api/v1/nothing", None, "", ""),
        ("PUT", f"{ORDERING}/orders", {}, eve, ""),
        ("GET", f"{ORDERING}/orders", None, "", ""),
        ("GET", f"{ORDERING}/orders", None, "a.b.c", ""),
        ("POST", f"{CATALOG}/products", {}, eve, ""),
        ("POST", f"{ORDERING}/orders", {"lines": []}, eve, ""),
        ("POST", f"{ORDERING}/orders", {"lines": [], "more": 1}, eve, "k1"),
        ("GET", f"{ORDERING}/orders/ord_damaged", None, eve, ""),
        ("GET", f"{CATALOG}/products?cursor=damaged", None, "", ""),
        ("POST", f"{AUTH}/token", {"email": "eve@example.com", "password": "wrong"}, "", ""),
        ("POST", f"{AUTH}/register", {"email": "eve@example.com", "password": PASSWORD}, "", ""),
        ("POST", f"{AUTH}/register", {"email": "eve2@example.com", "password": "short"}, "", ""),
    ):
        stage.call(method, path, body, token, key)


def the_same_key_again(stage: Stage) -> None:
    variant = stage.product("Saucer", stock=3)["variants"][0]["id"]
    bea = stage.customer("bea")
    first = stage.order(bea, variant, 2, "same")
    assert stage.order(bea, variant, 2, "same").body == first.body
    stage.order(bea, variant, 1, "same")
    stage.order(bea, variant, 2, "other")


def forty_buyers_of_ten_units(stage: Stage) -> None:
    variant = stage.product("Rarity", stock=10)["variants"][0]["id"]
    cy = stage.customer("cy")
    body = {"lines": [{"variant_id": variant, "quantity": 1}], "shipping_address": ADDRESS}

    def buy(number: int) -> str:
        answer = stage.shop.call("POST", f"{ORDERING}/orders", body, cy, key=f"rarity {number}")
        return f"{answer.status} {answer.json.get('code', '')}"

    with ThreadPoolExecutor(8) as pool:
        found = Counter(pool.map(buy, range(40)))
    stage.recorder.record.append(f"forty buyers: {sorted(found.items())}")
    stage.call("GET", f"{CATALOG}/variants/{variant}/stock", token=stage.staff)


def a_webhook(stage: Stage) -> None:
    variant = stage.product("Spoon", stock=3)["variants"][0]["id"]
    dora = stage.customer("dora")
    order = stage.order(dora, variant, 1, "spoon").json["id"]
    payment = stage.pay(dora, order, "spoon pays", "tok_action").json["id"]
    event = json.dumps({"id": "evt_1", "type": "payment.captured", "data": {"payment_id": payment}}).encode()
    for secret in ("wrong", stage.secret):
        stamp = str(int(time.time()))
        mac = hmac.new(secret.encode(), f"{stamp}.".encode() + event, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Fake-Signature": f"t={stamp},v1={mac}"}
        connection = HTTPConnection("127.0.0.1", stage.shop.port, timeout=30)
        connection.request("POST", f"{ORDERING}/payments/webhooks/fake", event, headers)
        got = connection.getresponse()
        answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        connection.close()
        stage.recorder.keep(f"webhook signed with {'its' if secret == stage.secret else 'a wrong'} secret", answer)


def a_password_is_changed(stage: Stage) -> None:
    who = {"email": "finn@example.com", "password": PASSWORD}
    finn = stage.customer("finn")
    tokens = stage.call("POST", f"{AUTH}/token", who).json
    changed = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    stage.call("POST", f"{AUTH}/me/password", changed, finn)
    stage.call("POST", f"{AUTH}/token/refresh", {"refresh": tokens["refresh"]})
    for path in (f"{AUTH}/me", f"{ORDERING}/cart"):
        stage.refused_by_every_worker(path, finn)
        stage.call("GET", path, token=finn)
    stage.call("POST", f"{AUTH}/token", {**who, "password": NEW_PASSWORD})


def an_account_is_erased(stage: Stage) -> None:
    variant = stage.product("Ladle", stock=3)["variants"][0]["id"]
    gus = stage.customer("gus")
    order = stage.order(gus, variant, 1, "ladle").json["id"]
    stage.pay(gus, order, "ladle pays")
    stage.settled(f"{ORDERING}/orders/{order}", gus, payment_status="paid")
    exported = stage.call("GET", f"{AUTH}/me/export", token=gus).json
    assert [each["id"] for each in exported["ordering"]["orders"]] == [order]
    stage.call("DELETE", f"{AUTH}/me", {"password": PASSWORD}, gus)
    stage.call("POST", f"{AUTH}/token", {"email": "gus@example.com", "password": PASSWORD})
    path = f"{ORDERING}/orders/{order}"

    def forgotten() -> bool:
        found = stage.shop.call("GET", path, token=stage.staff)
        return b"St James" not in found.body and found.json["payment_status"] == "refunded"

    eventually(forgotten, seconds=60)
    stage.call("GET", path, token=stage.staff)


STORIES = (
    from_registration_to_refund,
    a_day_of_staff,
    what_is_refused,
    the_same_key_again,
    forty_buyers_of_ten_units,
    a_webhook,
    a_password_is_changed,
    an_account_is_erased,
)


def told(shop: ShopServer, webhook_secret: str) -> dict[str, list[str]]:
    """What each story was answered."""
    stage = Stage(shop, webhook_secret)
    found: dict[str, list[str]] = {}
    for story in STORIES:
        stage.recorder.record.clear()
        story(stage)
        found[story.__name__] = list(stage.recorder.record)
    return found
