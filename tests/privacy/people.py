"""A customer whose every word can be told from everybody else's, and a shop to use it up in."""

import json
from itertools import count
from typing import Any

from contexts.ordering.tests.webhooks import signature
from shop.gateway.tokens import mint
from tests.plugin import make_principal
from tests.security.calling import Answer, call
from tests.security.hostile_values import new_key

API = "/api/v1"
PASSWORD = "correct horse battery"
_number = count(1)


class Customer:
    """Somebody with a word of their own in every text they give."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.email = f"{word}.mail@example.org"
        self.address = {
            "name": f"{word} name",
            "line1": f"{word} street",
            "line2": f"{word} floor",
            "city": f"{word} city",
            "region": f"{word} region",
            "postal_code": f"{word} code",
            "country": "GB",
        }
        self.token = ""
        self.refresh = ""
        self.id = str(self.send("POST", "auth/register", self.who(name=f"{word} name")).json["id"])
        self.sign_in()

    def who(self, **more: str) -> dict[str, str]:
        return {"email": self.email, "password": PASSWORD, **more}

    def sign_in(self) -> None:
        tokens = self.send("POST", "auth/token", self.who()).json
        self.token, self.refresh = tokens["access"], tokens["refresh"]

    def send(self, method: str, path: str, body: Any = None, key: str = "") -> Answer:
        """One request, under a key that says who it is."""
        headers = {"Idempotency-Key": key or f"{self.word}-{next(_number)}"}
        content = None if body is None else json.dumps(body).encode()
        return call(method, f"{API}/{path}", content, token=self.token, headers=headers)

    def order(self, variant: str) -> str:
        body = {"lines": [{"variant_id": variant, "quantity": 1}], "shipping_address": self.address}
        return _made(self.send("POST", "ordering/orders", body))

    def paid(self, variant: str) -> str:
        order = self.order(variant)
        self.pay(order)
        return order

    def pay(self, order: str, token: str = "tok_ok") -> str:
        return _made(self.send("POST", f"ordering/orders/{order}/payments", {"provider": "fake", "token": token}))

    def erase(self, password: str = PASSWORD) -> Answer:
        return self.send("DELETE", "auth/me", {"password": password})


class Desk:
    """Staff who may do everything."""

    def __init__(self) -> None:
        self.token = mint(make_principal("staff", "superuser"))

    def send(self, method: str, path: str, body: Any = None, key: str = "") -> Answer:
        content = None if body is None else json.dumps(body).encode()
        return call(method, f"{API}/{path}", content, token=self.token, headers={"Idempotency-Key": key or new_key()})

    def variant(self, stock: int = 100) -> str:
        """Something to buy."""
        number = next(_number)
        category = _made(self.send("POST", "catalog/categories", {"name": f"Shelf {number}"}))
        variant = {"sku": f"CUP-{number}", "price": {"amount": 1299, "currency": "GBP"}, "stock": stock}
        body = {"name": "Cup", "category_id": category, "variants": [variant]}
        made = self.send("POST", "catalog/products", body)
        return str(made.json["variants"][0]["id"])

    def ship(self, order: str) -> Answer:
        return self.send("POST", f"ordering/orders/{order}/shipments", {"carrier": "Mail", "tracking_number": "AB1"})

    def read(self, order: str) -> Any:
        return self.send("GET", f"ordering/orders/{order}").json


def report(payment: str, text: str) -> int:
    """What the provider tells about a payment, with more in it than anybody asked for; the answer's status."""
    body = {"id": f"evt_{next(_number)}", "type": "payment.captured", "data": {"payment_id": payment, "payer": text}}
    raw = json.dumps(body).encode()
    headers = {"Fake-Signature": signature(raw)}
    return call("POST", f"{API}/ordering/payments/webhooks/fake", raw, headers=headers).status


def _made(answer: Answer) -> str:
    assert answer.status == 201, answer.body
    return str(answer.json["id"])
