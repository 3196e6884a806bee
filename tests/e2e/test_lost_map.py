"""The map of a served shop is lost: who knows it goes on, who begins says why it can not, and a command mends it."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import psycopg

from tests.e2e.people import Staff, eventually

WIPED = "DELETE FROM shop_shardmapentry", "DELETE FROM shop_shardepoch"


def wipe(shop):
    url = shop.database("catalog_0")
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(shop.home / "catalog_0.sqlite3", isolation_level=None, timeout=10)) as database:
            for statement in WIPED:
                database.execute(statement)
        return
    with psycopg.connect(urlsplit(url).geturl(), autocommit=True) as session:
        for statement in WIPED:
            session.execute(statement.encode())


def status_of(shop, path):
    try:
        return shop.call("GET", path).status
    except OSError:  # between two workers nobody listens
        return 0


def test_a_server_lives_through_the_loss_of_its_map(fresh_shop):
    # given a server that sells something
    shop = fresh_shop.start()
    staff = Staff(shop)
    variant = staff.product("Teapot", stock=3)
    stock, listing = f"/api/v1/catalog/variants/{variant}/stock", "/api/v1/catalog/products?limit=1"
    eventually(lambda: servers(shop) == [("server", 1)], seconds=30)
    # when the map is lost, then the server goes on
    wipe(shop)
    assert staff.stock(variant)["on_hand"] == 3
    assert status_of(shop, listing) == 200
    # when a worker begins that never knew it, then it says so
    os.kill(shop.workers()[0], signal.SIGKILL)
    eventually(lambda: status_of(shop, listing) == 503, seconds=60)
    assert "rebuild-map catalog" in shop.call("GET", "/readyz").json["maps"]["catalog"]
    doctor = shop.manage("shards", "doctor", "catalog")
    assert (doctor.returncode, "there is no shard map" in doctor.stdout) == (1, True)
    # when it is rebuilt, then all goes on
    rebuilt = shop.manage("shards", "rebuild-map", "catalog")
    assert rebuilt.returncode == 0, rebuilt.stderr
    eventually(lambda: status_of(shop, "/readyz") == 200, seconds=30)
    assert status_of(shop, listing) == 200
    assert shop.call("GET", stock, token=staff.token).json["on_hand"] == 3
    eventually(lambda: ("server", 2) in processes(shop), seconds=30)


def test_requests_are_counted_where_they_go(fresh_shop):
    # given a server that answered for a product, which lies on one shard
    shop = fresh_shop.start()
    staff = Staff(shop)
    variant = staff.product("Teapot", stock=3)
    before = requests(shop)
    for _ in range(20):
        staff.stock(variant)
    # then within some seconds its shard, and no other, has twenty more
    eventually(lambda: counted_since(before, shop)[-1] >= 20, seconds=40)
    assert [each for each in counted_since(before, shop)[:-1] if each >= 20] == []


def counted_since(before, shop):
    """Of each shard, the most last."""
    return sorted(after - each for after, each in zip(requests(shop), before, strict=True))


def report(shop):
    done = shop.manage("shards", "status", "catalog", "--json")
    (context,) = json.loads(done.stdout)["contexts"]
    return context


def processes(shop):
    return [(each["role"], each["epoch"]) for each in report(shop)["processes"] if each["alive"]]


def servers(shop):
    """Without the command that prepared it, which is taken for alive a while longer."""
    return [(role, epoch) for role, epoch in processes(shop) if role == "server"]


def requests(shop):
    return [each["requests"] for each in report(shop)["shards"]]
