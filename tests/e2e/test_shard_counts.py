"""A shop with one database per context, and one with five: what people see does not depend on the number."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.e2e.people import Customer, Staff, eventually
from tests.e2e.shopserver import ShopServer

MOST_TRIES = 80
"""That one of five shards is still empty after so many random choices happens once in ten million runs."""


@pytest.fixture(params=[1, 5], ids=["1 shard", "5 shards"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ShopServer]:
    threads = "2"  # each keeps a connection to each of 15 databases, and PostgreSQL gives 100 unless told otherwise
    server = ShopServer(tmp_path, shards=request.param, SERVER_THREADS=threads)
    try:
        yield server.start()
    finally:
        server.remove()


def rows(shop: ShopServer, alias: str, table: str) -> int:
    """Number of a table's rows in one database."""
    url, question = shop.database(alias), f"SELECT count(*) FROM {table}"  # noqa: S608  a name of ours
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(shop.home / url.removeprefix("sqlite:///"))) as file:
            return int(file.execute(question).fetchone()[0])
    with psycopg.connect(url) as server:
        return int(server.execute(question.encode()).fetchone()[0])  # type: ignore[index]  # a count has a row


def on_every_shard[Made](shop: ShopServer, context: str, table: str, make: Callable[[], Made]) -> list[Made]:
    """Make things until there is one on every shard of the context."""
    made: list[Made] = []
    while not all(rows(shop, alias, table) for alias in shop.aliases(context)):
        assert len(made) < MOST_TRIES, f"{context}: a shard that gets nothing"
        made.append(make())
    return made


def test_a_shop_sells_from_every_shard_to_customers_of_every_shard(shop):
    # given products on each of catalog's shards
    staff = Staff(shop)
    cups = on_every_shard(shop, "catalog", "shop_catalog_product", lambda: staff.product("Cup", stock=200))
    # when customers of each of ordering's shards buy one of each
    orders = on_every_shard(shop, "ordering", "shop_ordering_order", lambda: bought(shop, cups))
    # then every order is placed, and found once in everybody's list, newest first
    eventually(lambda: all(order["status"] == "placed" for order in staff.orders()))
    assert [order["id"] for order in staff.orders()] == [order["id"] for order in reversed(orders)]
    # and each product once on the pages of the list, whatever shard it lies on
    assert sorted(listed(shop, limit=2)) == sorted(cups)
    # and the pieces are sold, and the books are right
    eventually(lambda: all(staff.stock(cup) == {**staff.stock(cup), **left(orders)} for cup in cups))
    done = shop.manage("check_invariants", "--json", "--settle", "3")
    assert json.loads(done.stdout)["clean"], done.stdout
    # and the pages for operators name every database
    ready = shop.call("GET", "/readyz").json
    assert list(ready["databases"]) == list(ready["migrations"]) == shop.aliases()
    assert all(alias.encode() in shop.call("GET", "/").body for alias in shop.aliases())
    # and when it is started again, nothing is to be migrated and all is still there
    shop.kill()
    shop.start()
    staff.sign_in()
    assert (shop.manage("migrate_contexts", "--check").returncode, len(staff.orders())) == (0, len(orders))


def bought(shop: ShopServer, cups: list[str]) -> dict[str, str]:
    """A paid order of somebody new."""
    buyer = Customer(shop)
    order: dict[str, str] = buyer.order(*[(cup, 1) for cup in cups]).json
    assert buyer.pay(order).status == 201
    return order


def left(orders: list[dict[str, str]]) -> dict[str, int]:
    return {"on_hand": 200 - len(orders), "reserved": 0}


def listed(shop: ShopServer, limit: int) -> list[str]:
    """Variants of all products, page by page."""
    found: list[str] = []
    cursor = ""
    while True:
        page = shop.call("GET", f"/api/v1/catalog/products?limit={limit}{cursor}").json
        found += [variant["id"] for product in page["data"] for variant in product["variants"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
