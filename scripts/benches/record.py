"""Records what the shop sends to its databases for one order and two reads. A process of its own, inside the shop.

``python -m scripts.benches.record FOLDER`` reads baskets, orders and products as JSON from standard input, and writes a
`Book` for the peer and scripts for pgbench.
"""

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scripts.benches.settings")

import django

django.setup()

from django.db import connections  # noqa: E402  Django is set up first
from django.test import Client  # noqa: E402  the same

from scripts.benches import scripts  # noqa: E402  the same
from scripts.benches.recorded import Book, Recorded, numbered  # noqa: E402  the same
from shop.contract import Principal  # noqa: E402  the same
from shop.gateway.tokens import mint  # noqa: E402  the same
from shop.sharding import new_id  # noqa: E402  the same
from shop.sharding.public_ids import number_of  # noqa: E402  the same

NOBODYS: Final = ("shop_workerlease", "shop_duty")
"""Tables of the process itself, which a request touches once in some seconds."""


@dataclass(frozen=True)
class _Seen:
    alias: str
    together: bool
    text: str
    values: Any


class Recorder:
    """The API called in this process, its statements kept."""

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self._client = Client(SERVER_NAME="localhost")
        self.customer_id = new_id("ordering")
        principal = Principal(id=str(self.customer_id), role="customer", session_id="bench")
        self._bearer = f"Bearer {mint(principal)}"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See every statement of the block."""
        with ExitStack() as stack:
            for connection in connections.all():
                if connection.alias != "default":
                    stack.enter_context(connection.execute_wrapper(self._saw))
            yield

    def _saw(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        connection = context["connection"]
        if not any(table in sql for table in NOBODYS):
            self._seen.append(_Seen(connection.alias, connection.in_atomic_block, sql, params))
        return execute(sql, params, many, context)

    def call(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[Any, list[_Seen]]:
        """The answer's JSON and the statements behind it."""
        self._seen.clear()
        headers: Any = {"HTTP_AUTHORIZATION": self._bearer, **({"HTTP_IDEMPOTENCY_KEY": key} if key else {})}
        content = json.dumps(body) if body is not None else ""
        answer = self._client.generic(method, f"/api/v1/{path}", content, "application/json", **headers)
        if answer.status_code not in {200, 201}:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.content.decode()}")
        return answer.json(), list(self._seen)


def _recorded(seen: list[_Seen], looked_for: dict[int, str], key: str = "") -> list[Recorded]:
    written = scripts.Writer(looked_for, key)
    found = []
    for each in seen:
        text, values = numbered(each.text)
        found.append(
            Recorded(
                context=each.alias.rpartition("_")[0],
                together=each.together,
                text=text,
                values=values,
                script=written.script(each.text, each.values, values),
            )
        )
    return found


def main() -> None:
    """Record what standard input names, and write it down in the folder that the command line names."""
    given, key, folder = json.load(sys.stdin), secrets.token_hex(12), Path(sys.argv[1])
    baskets = [sorted(number_of("var", line["variant_id"]) for line in basket) for basket in given["baskets"]]
    orders = [number_of("ord", each) for each in given["orders"]]
    products = [number_of("prd", each) for each in given["products"]]
    recorder = Recorder()
    body = {"lines": given["baskets"][0], "shipping_address": given["address"]}
    with recorder.watching():
        recorder.call("POST", "ordering/orders", body, key=secrets.token_hex(12))  # what only a first request asks
        order, placed = recorder.call("POST", "ordering/orders", body, key=key)
        _, read = recorder.call("GET", f"ordering/orders/{order['id']}")
        _, shown = recorder.call("GET", f"catalog/products/{given['products'][0]}")
    kept = dict.fromkeys((number_of("prd", line["product_id"]) for line in order["lines"]), "")
    wanted = {variant: f"wanted_{place}" for place, variant in enumerate(baskets[0])}
    book = Book(
        place=_recorded(placed, {**kept, recorder.customer_id: "", **wanted}, key),
        order=_recorded(read, {number_of("ord", order["id"]): "wanted_0"}),
        product=_recorded(shown, {products[0]: "wanted_0"}),
    )
    book.save(folder / "book.json")
    scripts.write(folder, "hold", (each for each in book.place if each.context == "catalog"), baskets)
    scripts.write(folder, "write", (each for each in book.place if each.context == "ordering"), baskets)
    scripts.write(folder, "order", book.order, [[each] for each in orders])
    scripts.write(folder, "product", book.product, [[each] for each in products])


if __name__ == "__main__":
    main()
