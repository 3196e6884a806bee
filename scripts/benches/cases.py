"""What shoppers ask for: one generator per case, which yields requests and looks at every answer. `load` comes in here.

``material`` is what `scripts.benches.stage` has laid out. Each connection has customers of its own, one or more.
"""

import itertools
import json
import secrets
from collections.abc import Generator
from typing import Any, Final

type Material = dict[str, Any]
type Shopper = Generator[bytes, tuple[int, bytes]]

API: Final = "/api/v1"
CREATED: Final = 201
OK: Final = 200
PAGE: Final = 20
CONNECTIONS: Final = 8
"""How many there are, as a rule."""


class WrongAnswer(Exception):
    """An answer is not what it should be; nothing measured with it would mean anything."""


def empty(material: Material, number: int) -> Shopper:
    """A view of ninja that does nothing."""
    while True:
        _must(*(yield ask("GET", f"{API}/bench/empty")), status=OK, holding=b"{}")


def product(material: Material, number: int) -> Shopper:
    """One product."""
    for each in _round_and_round(material["products"], number):
        answer = yield ask("GET", f"{API}/catalog/products/{each}")
        _must(*answer, status=OK, holding=each.encode())
        _must(*answer, status=OK, holding=b'"available":')


def products(material: Material, number: int) -> Shopper:
    """The first page of the list."""
    while True:
        status, body = yield ask("GET", f"{API}/catalog/products?limit={PAGE}")
        _must(status, body, status=OK, holding=b'"next_cursor":')
        if body.count(b'"prd_') != 2 * PAGE:  # each names itself, and its one variant names it
            raise WrongAnswer(f"a page held {body.count(b'"prd_')} IDs of products")


def order(material: Material, number: int) -> Shopper:
    """One of the caller's orders, with three lines."""
    theirs = [(each, who["token"]) for who in _customers(material, number) for each in who["orders"]]
    for each, token in _round_and_round(theirs, 0):
        status, body = yield ask("GET", f"{API}/ordering/orders/{each}", token=token)
        _must(status, body, status=OK, holding=each.encode())
        if body.count(b'"sku":') != len(material["baskets"][0]):
            raise WrongAnswer("an order had other lines than it was placed with")


def place(material: Material, number: int) -> Shopper:
    """A new order with three lines."""
    customers = itertools.cycle(_customers(material, number))
    for basket, who in zip(_round_and_round(material["baskets"], number), customers, strict=False):
        body = {"lines": basket, "shipping_address": material["address"]}
        answer = yield ask("POST", f"{API}/ordering/orders", body, who["token"], key=secrets.token_hex(12))
        _must(*answer, status=CREATED, holding=b'"pending_payment"')
        _must(*answer, status=CREATED, holding=basket[-1]["variant_id"].encode())


def login(material: Material, number: int) -> Shopper:
    """Signing in."""
    credentials = material["customers"][number]["credentials"]
    while True:
        _must(*(yield ask("POST", f"{API}/auth/token", credentials)), status=OK, holding=b'"refresh":')


def journey(material: Material, number: int) -> Shopper:
    """The list, a product, into the cart, check out, pay, and look at the order: six requests."""
    who = material["customers"][number]
    for line in _round_and_round(material["lines"], number):
        _must(*(yield ask("GET", f"{API}/catalog/products?limit={PAGE}")), status=OK, holding=b'"next_cursor":')
        product_id, variant_id = line["product_id"], line["variant_id"]
        answer = yield ask("GET", f"{API}/catalog/products/{product_id}")
        _must(*answer, status=OK, holding=variant_id.encode())
        path = f"{API}/ordering/cart/lines/{variant_id}"
        answer = yield ask("PUT", path, {"quantity": line["quantity"]}, who["token"])
        _must(*answer, status=OK, holding=variant_id.encode())
        body = {"shipping_address": material["address"]}
        answer = yield ask("POST", f"{API}/ordering/cart/checkout", body, who["token"], key=secrets.token_hex(12))
        _must(*answer, status=CREATED, holding=b'"pending_payment"')
        path = f"{API}/ordering/orders/{json.loads(answer[1])['id']}"
        paid = {"provider": "fake", "token": "tok_ok"}
        answer = yield ask("POST", f"{path}/payments", paid, who["token"], key=secrets.token_hex(12))
        _must(*answer, status=CREATED, holding=b'"captured"')
        _must(*(yield ask("GET", path, token=who["token"])), status=OK, holding=b'"placed"')


def ask(method: str, path: str, body: Any = None, token: str = "", key: str = "") -> bytes:
    """A request as it goes over the wire."""
    content = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    head += [f"Authorization: Bearer {token}"] if token else []
    head += [f"Idempotency-Key: {key}"] if key else []
    head += ["Content-Type: application/json", f"Content-Length: {len(content)}"] if body is not None else []
    return "\r\n".join([*head, "", ""]).encode() + content


def _must(given: int, body: bytes, *, status: int, holding: bytes) -> None:
    if given != status or holding not in body:
        raise WrongAnswer(f"{given} instead of {status} with {holding.decode()}: {body[:300].decode(errors='replace')}")


def _customers(material: Material, number: int) -> list[dict[str, Any]]:
    return material["customers"][number::CONNECTIONS]  # type: ignore[no-any-return]  # as laid out


def _round_and_round[T](things: list[T], number: int) -> Generator[T]:
    """``things`` for ever; each connection begins elsewhere."""
    start = number * len(things) // CONNECTIONS % len(things)
    yield from itertools.cycle(things[start:] + things[:start])
