"""What is laid out before anything is measured: customers, real products, baskets of real invoices, orders to read."""

import csv
import gzip
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from scripts.benches.calls import call
from scripts.benches.problems import BenchError

API: Final = "/api/v1"
SAMPLE: Final = Path(__file__).resolve().parents[2] / "config" / "demo" / "sample_orders.csv.gz"
LINES: Final = 3
BASKETS: Final = 64
PRODUCTS: Final = 200
ORDERS_EACH: Final = 8
ADDRESS: Final = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}

type Row = dict[str, str]


@dataclass(kw_only=True)
class Stage:
    """What the cases are about. ``customers`` holds credentials, orders, and a token that lives for five minutes."""

    customers: list[dict[str, Any]] = field(default_factory=list)
    products: list[str] = field(default_factory=list)
    baskets: list[list[dict[str, Any]]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def material(self) -> dict[str, Any]:
        """As `scripts.benches.cases` take it."""
        return {**vars(self), "address": ADDRESS}

    def sign_in(self, port: int) -> None:
        """Give every customer a new token."""
        for who in self.customers:
            who["token"] = json.loads(call(port, "POST", f"{API}/auth/token", who["credentials"]))["access"]


def lay_out(port: int, orders: Path, customers: int) -> Stage:
    """Find products, fill baskets and sign customers up, through the API.

    Raises:
        BenchError: The file of orders is none, or holds too little of what the shop sells.
    """
    stage = Stage()
    sold = {variant["sku"]: variant for variant in variants_of(port)}
    stage.products = [variant["product_id"] for variant in islice(sold.values(), PRODUCTS)]
    for invoice in islice(invoices(orders, sold), BASKETS):
        stage.baskets.append([{"variant_id": sold[sku]["id"], "quantity": 1} for sku in invoice])
        stage.lines += [
            {"variant_id": sold[sku]["id"], "product_id": sold[sku]["product_id"], "quantity": 1} for sku in invoice
        ]
    if len(stage.baskets) < BASKETS:
        raise BenchError(f"{orders} holds {len(stage.baskets)} invoices with {LINES} products that the shop sells")
    for _ in range(customers):
        credentials = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_urlsafe(12)}
        call(port, "POST", f"{API}/auth/register", credentials)
        stage.customers.append({"credentials": credentials, "orders": []})
    stage.sign_in(port)
    return stage


def place_orders_to_read(port: int, stage: Stage) -> None:
    """Give every customer some orders."""
    for number, who in enumerate(stage.customers):
        for basket in stage.baskets[number : number + ORDERS_EACH]:
            body = {"lines": basket, "shipping_address": ADDRESS}
            path = f"{API}/ordering/orders"
            answer = call(port, "POST", path, body, token=who["token"], key=secrets.token_hex(12))
            who["orders"].append(json.loads(answer)["id"])


def variants_of(port: int) -> Iterator[dict[str, Any]]:
    """All that the shop sells."""
    after: str | None = ""
    while after is not None:
        path = f"{API}/catalog/products?limit=100" + (f"&cursor={after}" if after else "")
        page = json.loads(call(port, "GET", path))
        yield from (variant for product in page["data"] for variant in product["variants"])
        after = page["next_cursor"]


def invoices(orders: Path, sold: dict[str, Any]) -> Iterator[list[str]]:
    """The first `LINES` products of each invoice that has so many."""
    for _, rows in groupby(_rows(orders), key=lambda row: (row["invoice"], row["kind"])):
        wanted = [row["sku"] for row in rows if row["kind"] == "order" and row["sku"] in sold]
        if len(different := list(dict.fromkeys(wanted))) >= LINES:
            yield different[:LINES]


def _rows(orders: Path) -> Iterator[Row]:
    try:
        with gzip.open(orders, "rt", encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BenchError(f"--orders: {orders} is no gzipped file of orders: {error}") from error
