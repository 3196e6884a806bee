"""The peer: three of the shop's operations as one writes them for FastAPI and asyncpg, with the shop's own SQL.

It shares with the shop what no framework decides: how public IDs are written and how a token is checked; so Django is
loaded here, and answers nothing. It has no log line, no figures, no limits, and no other checks than its shapes make.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scripts.benches.settings")

import django

django.setup()

import asyncpg  # noqa: E402  Django is set up first
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response  # noqa: E402  the same

from scripts.benches import shapes  # noqa: E402  the same
from scripts.benches.peer_rows import Placing, order_of_row, product_of_row  # noqa: E402  the same
from scripts.benches.recorded import Book, Recorded  # noqa: E402  the same
from shop.contract import Principal  # noqa: E402  the same
from shop.gateway.tokens import verify  # noqa: E402  the same
from shop.sharding.public_ids import number_of  # noqa: E402  the same

CONNECTIONS: Final = 4
ONE_PLAN: Final = {"plan_cache_mode": "force_generic_plan"}  # as the shop's own sessions have it
BOOK: Final = Book.load(Path(os.environ["BENCH_BOOK"]))

pools: "dict[str, asyncpg.Pool[asyncpg.Record]]" = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect to the two databases; asyncpg prepares each statement at its first use."""
    for context in ("catalog", "ordering"):
        url = os.environ[f"{context.upper()}_DATABASES"]
        size = {"min_size": CONNECTIONS, "max_size": CONNECTIONS}
        pools[context] = await asyncpg.create_pool(url, **size, server_settings=ONE_PLAN)
    yield
    await asyncio.gather(*(pool.close() for pool in pools.values()))


app = FastAPI(lifespan=lifespan, openapi_url=None)


def caller(authorization: Annotated[str, Header()]) -> Principal:
    """Whose token it is."""
    return verify(authorization.removeprefix("Bearer "))


Caller = Annotated[Principal, Depends(caller)]


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Up."""
    return {}


@app.get("/api/v1/catalog/products/{product_id}")
async def show_product(product_id: str, response: Response) -> shapes.Product:
    """One product, with its version as ETag."""
    [asked] = BOOK.product
    row = await pools["catalog"].fetchrow(asked.text, [number_of("prd", product_id)])
    if row is None:
        raise HTTPException(404)
    response.headers["ETag"] = f'"{row["version"]}"'
    return product_of_row(row)


@app.get("/api/v1/ordering/orders/{order_id}")
async def get_order(order_id: str, who: Caller) -> shapes.Order:
    """One order of the caller's."""
    [asked] = BOOK.order
    row = await pools["ordering"].fetchrow(asked.text, [number_of("ord", order_id)])
    if row is None or row["customer_id"] != who.key:
        raise HTTPException(404)
    return order_of_row(row)


@app.post("/api/v1/ordering/orders", status_code=201)
async def place_order(
    request: Request, body: shapes.NewOrder, who: Caller, idempotency_key: Annotated[str, Header()]
) -> Response:
    """A new order: key claimed, pieces held, order written with its answer, as the shop does it and in its words."""
    placing = Placing(body=body, customer_id=who.key, key=idempotency_key, sent=await request.body())
    for context, group in groupby(BOOK.place, key=lambda each: each.context):
        statements = list(group)
        async with pools[context].acquire() as connection:
            await _run(connection, statements, placing)
    return Response(placing.answer, 201, media_type="application/json")


async def _run(connection: Any, statements: list[Recorded], placing: Placing) -> None:
    """Those of one database, in transactions as they were recorded."""
    for together, group in groupby(statements, key=lambda each: each.together):
        if together:
            async with connection.transaction():
                for each in group:
                    placing.saw(each, await connection.fetch(each.text, *placing.values(each)))
        else:
            for each in group:
                placing.saw(each, await connection.fetch(each.text, *placing.values(each)))
