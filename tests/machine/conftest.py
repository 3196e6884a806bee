"""A shop for the machine: four variants, customers on the first and the last shard of ordering."""

import pytest
from django.db import connections

from contexts.catalog.tests.factories import variant_on
from contexts.ordering.services.providers import fake
from shop.services import acting_as, pipeline
from shop.sharding import new_id, scatter
from shop.sharding.readiness import all_aliases
from tests.machine.machine import CUSTOMERS, PRICES, SHARD_OF
from tests.machine.shop import Shop
from tests.shards import FIRST_BUCKET, LAST_BUCKET


@pytest.fixture
def shop(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(fake, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(pipeline, "called", lambda context, _: acting_as(context))  # how long a step takes is no matter
    monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 60.0)
    for connection in (connections[alias] for alias in all_aliases()):
        if connection.vendor == "sqlite":  # nothing crashes here: no commit need wait for the disk
            connection.cursor().execute("PRAGMA synchronous=OFF")
    variants = [variant_on(shard, stock=0, price=price) for shard, price in zip(SHARD_OF, PRICES, strict=True)]
    customers = [new_id("ordering", bucket=bucket) for bucket in (FIRST_BUCKET, LAST_BUCKET)]
    return Shop(variants, customers[:CUSTOMERS])
