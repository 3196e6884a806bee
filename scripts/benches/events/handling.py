"""An event of an order, and a handler that does next to nothing: what is measured is the way there.

Both pass for ordering's own, so that they go by its outboxes, its queue and its inboxes.
"""

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from shop.contract import Event
from shop.events import on
from shop.sharding.scope import required_scope
from shop.sharding.statements import Statement

TABLE: Final = "bench_order_moved"
ROW: Final = Statement.shared(f"INSERT INTO {TABLE} (id) VALUES (%(id)s) RETURNING id")  # noqa: S608  our own name


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoved(Event):
    """An event as long as ordering's are.

    Attributes:
        asks: What its handler does besides: "nothing"; "row", one statement; "note", the moment of its commit, in the
            file that ``BENCH_NOTES`` names.
    """

    __module__ = "contexts.ordering.contract"

    key: ClassVar[str] = "order_id"
    shard_key: ClassVar[str] = "order_id"

    order_id: str
    customer_id: str
    status: str
    total: int
    asks: str


def handle_order_moved(event: OrderMoved) -> None:
    """Do what the event asks for."""
    if event.asks == "row":
        ROW.write("ordering", int(event.order_id), id=int(event.order_id))
    elif event.asks == "note":
        required_scope("noting").on_commit(partial(_note, event.order_id))


def _note(order_id: str) -> None:
    """One line in one write: processes don't mix theirs up."""
    file = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{order_id} {time.monotonic()}\n".encode())
    finally:
        os.close(file)


handle_order_moved.__module__ = "contexts.ordering.tasks"
on(OrderMoved)(handle_order_moved)
