"""A shop on PostgreSQL, one of whose shards tests make fail: behind a proxy, or on a server of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from shop.sharding import key_of_bucket
from shop.sharding.first_migrate import even_split
from tests.e2e.people import Customer
from tests.e2e.shopserver import ShopServer, postgres
from tests.faults.cluster import Cluster, why_none_can_be_made
from tests.faults.fault_proxy import FaultProxy
from tests.shards import SHARDS

FRAIL = f"ordering_{SHARDS - 1}"
"""The database that fails."""
FIRST_OF_IT = key_of_bucket(even_split([f"ordering_{number}" for number in range(SHARDS)])[-1][0])
"""The lowest ID that lives there."""


@pytest.fixture(scope="session", autouse=True)
def only_with_a_network() -> None:
    if os.environ.get("SHOP_TEST_ENGINE") != "postgres":
        pytest.skip("SQLite has no network")


@pytest.fixture
def shop(only_with_a_network: None, tmp_path: Path) -> Iterator[ShopServer]:
    """The server, not yet started."""
    server = ShopServer(tmp_path)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def proxy(shop: ShopServer) -> Iterator[FaultProxy]:
    place = urlsplit(shop.database(FRAIL))
    with FaultProxy(place.hostname or "127.0.0.1", place.port or 5432) as found:
        shop.reach(FRAIL, port=found.port)
        yield found


@contextmanager
def shop_with_a_cluster(home: Path) -> Iterator[tuple[ShopServer, Cluster]]:
    """The server, not yet started, and the PostgreSQL that has the frail database, and nothing else."""
    if missing := why_none_can_be_made():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with Cluster(user=urlsplit(postgres()).username or "postgres") as cluster:
        server = ShopServer(home, migrated=False)
        try:
            cluster.make(urlsplit(server.database(FRAIL)).path[1:])
            server.reach(FRAIL, port=cluster.port)
            done = server.manage("migrate_contexts")
            assert done.returncode == 0, done.stderr
            yield server, cluster
        finally:
            server.remove()


def lives_on_the_frail_one(customer: Customer) -> bool:
    """Whether a customer's orders do."""
    for alias in customer.shop.aliases("auth"):
        with psycopg.connect(customer.shop.database(alias)) as database:
            found = database.execute("SELECT id FROM shop_auth_customer WHERE email = %s", [customer.email]).fetchone()
        if found:
            return bool(found[0] >= FIRST_OF_IT)
    raise AssertionError("there is no such customer")


def customers_of_both_shards(shop: ShopServer, number: int) -> tuple[list[Customer], list[Customer]]:
    """So many customers whose orders live on the frail one, and so many others."""
    affected: list[Customer] = []
    others: list[Customer] = []
    while len(affected) < number or len(others) < number:
        customer = Customer(shop)
        (affected if lives_on_the_frail_one(customer) else others).append(customer)
    return affected[:number], others[:number]
