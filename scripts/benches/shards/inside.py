"""What only a process inside the shop can tell of its shards. Prints `Told` as JSON.

``python -m scripts.benches.shards.inside TIMES`` makes tokens of customers on all shards, says which shard each variant
of standard input lies on, counts and times what routing does and what guard and fence cost an order, and asks all
shards at once and one by one.
"""

import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, Final
from unittest import mock

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db.models import BooleanField, Func  # noqa: E402  Django is set up first
from django.test import Client  # noqa: E402  the same

from contexts.catalog.models import Product  # noqa: E402  the same
from scripts.benches.shards.protection import protection_us  # noqa: E402  the same
from shop.contract import Principal  # noqa: E402  the same
from shop.gateway.tokens import mint  # noqa: E402  the same
from shop.sharding import alias_of, aliases_of, new_id  # noqa: E402  the same
from shop.sharding.ids import BUCKETS  # noqa: E402  the same
from shop.sharding.public_ids import number_of  # noqa: E402  the same
from shop.sharding.shard_map import ShardMap, shard_map  # noqa: E402  the same

CUSTOMERS: Final = 32
LINES: Final = 3
PLACE: Final = "/api/v1/ordering/orders"
TIMED: Final = 20_000
WORK_SECONDS: Final = 0.02
PAGE: Final = 20


@dataclass(frozen=True, kw_only=True)
class Told:
    """What was found.

    Attributes:
        tokens: Of customers, spread evenly over the buckets.
        aliases: Shard of each variant that was asked for, by its public ID.
        lookups: How often a request asks the map: for an order that is placed, and one that is read.
        lookup_us: What that takes each time.
        protection_us: What guard and fence add to placing an order.
        across: Seconds that asking every shard at once took, and the slowest of them alone, a pair each time.
        across_work: The same where each shard has `WORK_SECONDS` to do.
    """

    tokens: list[str]
    aliases: dict[str, str]
    lookups: dict[str, int]
    lookup_us: float
    protection_us: float
    across: list[tuple[float, float]]
    across_work: list[tuple[float, float]]


def main() -> None:
    """Find out, and print it."""
    given, times = json.load(sys.stdin), int(sys.argv[1])
    tokens = [_token(number * BUCKETS // CUSTOMERS) for number in range(CUSTOMERS)]
    aliases = {each: alias_of("catalog", number_of("var", each)) for each in given["variants"]}
    stock = aliases[given["variants"][0]]
    basket = [each for each, alias in aliases.items() if alias == stock][:LINES]
    order = {
        "lines": [{"variant_id": each, "quantity": 1} for each in basket],
        "shipping_address": given["address"],
    }
    client = Client(SERVER_NAME="localhost", HTTP_AUTHORIZATION=f"Bearer {tokens[0]}")
    written = [shard_map("ordering").alias_of_bucket(0), stock]
    told = Told(
        tokens=tokens,
        aliases=aliases,
        lookups=_lookups(client, order),
        lookup_us=_lookup_us(),
        protection_us=protection_us(partial(_ask, client, "POST", PLACE, order), written, times),
        across=_across(times, work=False),
        across_work=_across(times, work=True),
    )
    print(json.dumps(asdict(told)))


def _token(bucket: int) -> str:
    key = new_id("auth", bucket=bucket)
    return mint(Principal(id=str(key), role="customer", session_id="bench"))


def _lookups(client: Client, order: Any) -> dict[str, int]:
    seen, asked = Counter[str](), ShardMap.alias_of_bucket

    def call(case: str, method: str, path: str, body: Any = None) -> Any:
        def counted(owners: ShardMap, bucket: int) -> str:
            seen[case] += 1
            return asked(owners, bucket)

        with mock.patch.object(ShardMap, "alias_of_bucket", counted):
            return _ask(client, method, path, body)

    call("first", "POST", PLACE, order)
    placed = call("place", "POST", PLACE, order)
    call("order", "GET", f"{PLACE}/{placed['id']}")
    return {"place": seen["place"], "order": seen["order"]}


def _ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    content = "" if body is None else json.dumps(body)
    headers: Any = {"HTTP_IDEMPOTENCY_KEY": secrets.token_hex(12)}
    answer = client.generic(method, path, content, "application/json", **headers)
    if answer.status_code not in {200, 201}:
        raise SystemExit(f"{method} {path}: {answer.status_code} {answer.content.decode()}")
    return answer.json()


def _lookup_us() -> float:
    keys = [new_id("ordering") for _ in range(64)]

    def once() -> float:
        started = time.thread_time()
        for _ in range(TIMED // len(keys)):
            for key in keys:
                alias_of("ordering", key)
        return (time.thread_time() - started) / TIMED * 1e6

    return median(once() for _ in range(5))


def _across(times: int, *, work: bool) -> list[tuple[float, float]]:
    owners = shard_map("catalog")
    lows = [owners.slices_of(alias)[0][0] for alias in aliases_of("catalog")]
    products = Product.objects.filter(status="active")
    if work:  # done by the database, once for each question
        slept = f"((SELECT pg_sleep({WORK_SECONDS})::text) IS NOT NULL)"
        products = products.filter(Func(template=slept, output_field=BooleanField()))
    everywhere = products.across()
    alone = [products.across([low]) for low in lows]
    _page(everywhere)
    pairs = []
    for _ in range(times):
        slowest = max(_seconds(partial(_page, each)) for each in alone)
        pairs.append((_seconds(partial(_page, everywhere)), slowest))
    return pairs


def _page(products: Any) -> None:
    if len(products.page(order=("-created_at", "-id"), limit=PAGE).rows) > PAGE:
        raise SystemExit("a page was too long")


def _seconds(ask: Callable[[], None]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
