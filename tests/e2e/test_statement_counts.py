"""What operations cost in SQL statements: a whole journey, the hot paths, and that no count grows with the rows."""

import json
import secrets
from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import pytest
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.test import Client

from contexts.catalog.domain import sku_key
from contexts.catalog.tests.factories import category_on, variant_on
from shop.sharding import alias_of, aliases_of, hash_bucket, key_of_bucket
from shop.sharding.public_ids import public_id
from shop.sharding.readiness import all_aliases
from tests.e2e.people import ADDRESS, PASSWORD
from tests.plugin import bearer, make_principal
from tests.shards import FIRST_BUCKET, LAST_BUCKET, SHARDS

pytestmark = pytest.mark.django_db(databases=all_aliases(), transaction=True)
JOURNEY_LIMIT = 48
"""And one for each of catalog's shards, all of which the list of products asks: nothing else grows with them."""
FEW, MANY = max(2, SHARDS), SHARDS + 10
"""Rows of which every shard has some."""
BORDERS = ("BEGIN", "COMMIT")  # of transactions; PostgreSQL's driver sends them unseen
NOBODYS = "shop_workerlease"  # numbers for IDs, leased by the process for seconds: no request's own


class CountedShop:
    """The API called in this process; each call's statements are kept, those of the fake provider too."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, list[str]]] = []
        self._client = Client()
        self._headers: dict[str, Any] = {}

    def come_in(self) -> None:
        """Register and sign in as somebody new."""
        who = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
        self.call("POST", "auth/register", who)
        self._headers = {"HTTP_AUTHORIZATION": f"Bearer {self.call('POST', 'auth/token', who)['access']}"}

    def come_in_from(self, shard: int) -> None:
        """As a customer of ordering's first or last shard."""
        self._headers = bearer(make_principal(bucket=(FIRST_BUCKET, LAST_BUCKET)[shard]))

    def come_in_as_staff(self) -> None:
        self._headers = bearer(make_principal("staff", "catalog_editor", "order_desk"))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; it must be a success."""
        headers: Any = {**self._headers, "HTTP_IDEMPOTENCY_KEY": secrets.token_hex(8)}
        self.steps.append((f"{method} {path}", []))
        content = "" if body is None else json.dumps(body)
        answer = self._client.generic(method, f"/api/v1/{path}", content, "application/json", **headers)
        assert answer.status_code < 300, answer.content
        return answer.json() if answer.content else None

    def saw(self, alias: str, sql: str) -> None:
        if self.steps and not sql.startswith(BORDERS) and NOBODYS not in sql:
            self.steps[-1][1].append(f"{alias} {sql.strip()}")

    def last(self, word: str = "") -> list[str]:
        """Statements of the last call in which ``word`` occurs."""
        return [sql for sql in self.steps[-1][1] if word in sql]

    def order(self, *variants: str) -> Any:
        lines = [{"variant_id": variant, "quantity": 1} for variant in variants]
        return self.call("POST", "ordering/orders", {"lines": lines, "shipping_address": ADDRESS})

    def pay(self, order: Any) -> Any:
        return self.call("POST", f"ordering/orders/{order['id']}/payments", {"provider": "fake", "token": "tok_ok"})

    def buy(self, variant: str) -> None:
        """From the list to the paid order."""
        listed = self.call("GET", "catalog/products?limit=20")["data"]
        self.call("GET", f"catalog/products/{listed[0]['id']}")
        self.call("PUT", f"ordering/cart/lines/{variant}", {"quantity": 2})
        order = self.call("POST", "ordering/cart/checkout", {"shipping_address": ADDRESS})
        self.pay(order)
        assert self.call("GET", f"ordering/orders/{order['id']}")["status"] == "placed"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> CountedShop:
    counted = CountedShop()
    cursors: Any = CursorWrapper
    original: Callable[..., Any] = cursors._execute_with_wrappers

    def watched(cursor: Any, sql: Any, params: Any, many: bool, executor: Any) -> Any:
        counted.saw(cursor.db.alias, str(sql))
        return original(cursor, sql, params, many, executor)

    monkeypatch.setattr(cursors, "_execute_with_wrappers", watched)
    return counted


def variants(number: int, stock: int = 1_000) -> list[str]:
    """So many variants, on all shards in turn, of products with one each."""
    return [public_id("var", variant_on(each, stock=stock)) for each in range(number)]


def test_a_journey_from_the_list_to_the_paid_order(shop, capsys):
    # given a shop that has served somebody before, and somebody new
    teapot, *_ = variants(3)
    shop.come_in()
    shop.buy(teapot)
    shop.come_in()
    shop.steps.clear()
    # when they look around, fill the cart, check out, pay and look at the order
    shop.buy(teapot)
    # then
    counts = [(len(statements), step) for step, statements in shop.steps]
    total = sum(number for number, _ in counts)
    with capsys.disabled():
        print(f"\nSQL statements of a journey on {connections['ordering_0'].vendor}")
        for number, step in [*counts, (total, "in all")]:
            print(f"{number:5}  {step}")
    assert total - SHARDS < JOURNEY_LIMIT


HOT = {"postgresql": (1, 1), "sqlite": (3, 4)}  # SQLite has no INSERT inside WITH: the same in a few more
"""Statements on each of catalog's shards, and for the order's own rows."""


def test_hot_paths_are_one_statement_per_database(shop):
    vendor = connections["ordering_0"].vendor
    at_catalog, at_ordering = HOT[vendor]
    wanted = variants(3)
    shop.come_in()
    shop.order(*wanted)  # given connections that are open
    # when an order with three lines on as many shards as there are is placed, read, and what is in it looked at
    order = shop.order(*wanted)
    # then catalog is asked once per shard, and the order with all that belongs to it is written at once
    asked = dict.fromkeys(aliases_of("catalog")[:3], at_catalog)
    assert Counter(sql.split()[0] for sql in shop.last("catalog_")) == asked
    at_shard = [sql for sql in shop.last() if sql.startswith("ordering_")]
    assert (
        len([sql for sql in at_shard if "INSERT" in sql and 'INTO "shop_idempotencyclaim"' not in sql]) == at_ordering
    )
    # and beside that, on PostgreSQL, nothing but the claim is asked: the kept answer goes with the order's rows
    if vendor == "postgresql":
        assert len(at_shard) == 2
    for path in (
        f"ordering/orders/{order['id']}",
        f"catalog/products/{order['lines'][0]['product_id']}",
        f"catalog/variants?ids={wanted[0]}",
    ):
        shop.call("GET", path)
        assert len(shop.last()) == 1, shop.last()
    # and PostgreSQL has prepared every one of them
    if vendor == "postgresql":
        for word in ("shop_catalog_reservationline", "shop_ordering_orderline", "shop_catalog_product p"):
            assert prepared(word), word


def prepared(word: str) -> int:
    """How many statements with ``word`` are prepared on the connections that this thread would use next."""
    found = 0
    for alias in all_aliases():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", [f"%{word}%"])
            found += cursor.fetchone()[0]
    return found


def cart(shop: CountedShop, number: int) -> str:
    for variant in variants(number):
        shop.call("PUT", f"ordering/cart/lines/{variant}", {"quantity": 1})
    return "ordering/cart"


def order_with_lines(shop: CountedShop, number: int) -> str:
    return f"ordering/orders/{shop.order(*variants(number))['id']}"


def timeline(shop: CountedShop, number: int) -> str:
    order = shop.order(*variants(number))
    shop.pay(order)
    return f"ordering/orders/{order['id']}/timeline"


def orders(shop: CountedShop, number: int) -> str:
    for _ in range(number):
        shop.pay(shop.order(*variants(1)))
    return "ordering/orders?limit=100"


def addresses(shop: CountedShop, number: int) -> str:
    for _ in range(number):
        shop.call("POST", "auth/me/addresses", ADDRESS)
    return "auth/me/addresses"


def products(shop: CountedShop, number: int) -> str:
    variants(number)
    return "catalog/products?limit=100"


def variants_by_id(shop: CountedShop, number: int) -> str:
    return f"catalog/variants?ids={','.join(variants(number))}"


def categories(shop: CountedShop, number: int) -> str:
    for _ in range(number):
        category_on(0)
    return "catalog/categories?limit=100"


def movements(shop: CountedShop, number: int) -> str:
    [teapot] = variants(1)
    shop.come_in_as_staff()
    for _ in range(number):
        shop.call("POST", f"catalog/variants/{teapot}/stock/adjustments", {"delta": 1, "reason": "received"})
    return f"catalog/variants/{teapot}/stock/movements"


def orders_of_everybody(shop: CountedShop, number: int) -> str:
    for each in range(number):
        shop.come_in_from(shard=each % 2)
        shop.order(*variants(1))
    shop.come_in_as_staff()
    return "ordering/orders?limit=100"


READS = (
    *(cart, order_with_lines, timeline, orders, addresses, products, variants_by_id, categories, movements),
    orders_of_everybody,
)


@pytest.mark.parametrize("prepare", READS, ids=lambda each: each.__name__)
def test_reading_more_rows_takes_no_more_statements(shop, prepare):
    counts = []
    for number in (FEW, MANY):
        shop.come_in()
        path = prepare(shop, number)
        for _ in range(2):  # the first one may open connections
            shop.call("GET", path)
        counts.append(len(shop.last()))
    assert counts[0] == counts[1]


def test_changing_orders_with_more_lines_takes_no_more_statements(shop):
    def steps(number):
        shop.come_in()
        order = shop.order(*variants(number))
        placed = len(shop.last())
        shop.pay(order)
        paid = len(shop.last())
        shop.call("POST", f"ordering/orders/{order['id']}/cancel", {"reason": "changed my mind"})
        return placed, paid, len(shop.last())

    steps(FEW)
    assert steps(FEW) == steps(MANY)


def order_of_the_last_pieces(shop: CountedShop, number: int) -> None:
    shop.come_in()
    shop.order(*variants(number, stock=1))


def skus(number: int) -> list[str]:
    """Whose unique values lie on all shards in turn."""
    by_alias: dict[str, list[str]] = {alias: [] for alias in aliases_of("catalog")}
    while min(map(len, by_alias.values())) * SHARDS < number:
        sku = secrets.token_hex(6).upper()
        by_alias[alias_of("catalog", key_of_bucket(hash_bucket("sku", sku_key(sku))))].append(sku)
    return [sku for turn in zip_longest(*by_alias.values()) for sku in turn if sku][:number]


def product_with_variants(shop: CountedShop, number: int) -> None:
    shop.come_in_as_staff()
    price = {"amount": 1299, "currency": "EUR"}
    cups = [{"sku": sku, "price": price, "stock": 1} for sku in skus(number)]
    body = {"name": "Cup", "category_id": public_id("cat", category_on(0).id), "variants": cups}
    shop.call("POST", "catalog/products", body)


@pytest.mark.parametrize("make", [order_of_the_last_pieces, product_with_variants], ids=lambda each: each.__name__)
def test_making_what_has_more_parts_takes_no_more_statements(shop, make):
    seen = []
    for number in (3 * SHARDS, 3 * SHARDS, 6 * SHARDS):  # on all shards; the first one may open connections
        make(shop, number)
        seen.append(shop.last())
    assert len(seen[1]) == len(seen[2]), Counter(seen[2]) - Counter(seen[1])
