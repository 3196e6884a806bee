"""A process inside the shop that publishes and hands over, as a server and `manage.py relay` do.

``python -m scripts.benches.events.inside`` reads what to do line by line, ``{"do": name, …}``, and answers in JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any, Final

import django

django.setup()

from django.db import connections  # noqa: E402  Django is set up first

from scripts.benches.events.handling import TABLE, OrderMoved  # noqa: E402  the same
from shop.events import publish, to_publish  # noqa: E402  the same
from shop.events.broker.app import make_app  # noqa: E402  the same
from shop.events.broker.delivery import make_delivery  # noqa: E402  the same
from shop.events.broker.sending import Sender  # noqa: E402  the same
from shop.events.broker.topology import declare, exchange, queues  # noqa: E402  the same
from shop.events.models import InboxEntry, OutboxEvent  # noqa: E402  the same
from shop.events.relay import relay  # noqa: E402  the same
from shop.observability.trace import traced  # noqa: E402  the same
from shop.sharding import new_id, shard_atomic  # noqa: E402  the same

ALIAS: Final = "ordering_0"
FILLED_AT_ONCE: Final = 1_000
POLL_SECONDS: Final = 0.05
LONGEST_SECONDS: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Took:
    """How long something took, and the CPU time of this process meanwhile."""

    seconds: float
    cpu_seconds: float


def prepare() -> None:
    """Make the table of the handler, exchange and queues."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigint PRIMARY KEY)")
    with make_app().connection_for_write() as connection:
        connection.ensure_connection(max_retries=0)
        declare(connection)


def remove() -> None:
    """Take away what `prepare` has made at the broker."""
    with make_app().connection_for_write() as connection, connection.channel() as channel:
        for queue in queues():
            queue(channel).delete()
        exchange()(channel).delete()


def fill(events: int, asks: str) -> None:
    """Have so many events, each of an order of its own, in an outbox that was emptied, as inboxes and queues are."""
    with make_app().connection_for_write() as connection, connection.channel() as channel:
        for queue in queues():
            queue(channel).purge()
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}, {OutboxEvent._meta.db_table}, {InboxEntry._meta.db_table}")
    for some in batched((_event(asks) for _ in range(events)), FILLED_AT_ONCE):
        with shard_atomic("ordering", int(some[0].order_id)) as scope, traced():
            OutboxEvent.objects.using(scope.alias).bulk_create([to_publish(event, seq=1) for event in some])


def hand_over(events: int) -> Took:
    """Send the whole outbox, one claim after the other."""
    with closing(Sender(make_app())) as sender, _measured() as took:
        seen = sum(iter(lambda: relay(ALIAS, sender.send), 0))
    if seen != events or OutboxEvent.objects.using(ALIAS).exclude(state="handed_over").exists():
        raise SystemExit(f"{seen} of {events} events were handed over")
    return took()


def deliver(events: int) -> Took:
    """Relay as `manage.py relay` does, until workers have handled the whole outbox."""
    delivery = make_delivery(beside_relay=False)
    with _measured() as took:
        delivery.start()
        _wait(lambda: _handled() == events, f"{events} events")
    delivery.stop()
    return took()


def trickle(events: int, rate: int, uncounted: int) -> list[float]:
    """Publish as a server does, ``rate`` events a second; returns ms from each commit to that of its handler."""
    committed: dict[str, float] = {}
    notes = Path(os.environ["BENCH_NOTES"])
    notes.write_text("")
    delivery = make_delivery(beside_relay=True)
    delivery.start()
    began = time.monotonic()
    for number in range(events + uncounted):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        event = _event("note")
        with shard_atomic("ordering", int(event.order_id)) as scope, traced():
            scope.on_commit(partial(_note, committed, event.order_id))
            publish(event, seq=1)
    _wait(lambda: len(notes.read_text().splitlines()) == len(committed), f"{events} events")
    delivery.stop()
    handled = dict(line.split() for line in notes.read_text().splitlines())
    return [(float(handled[order]) - moment) * 1000 for order, moment in [*committed.items()][uncounted:]]


def _note(committed: dict[str, float], order: str) -> None:
    committed[order] = time.monotonic()


def _event(asks: str) -> OrderMoved:
    order, customer = str(new_id("ordering")), str(new_id("auth"))
    return OrderMoved(order_id=order, customer_id=customer, status="placed", total=4_990, asks=asks)


def _handled() -> int:
    return InboxEntry.objects.using(ALIAS).filter(state=InboxEntry.State.DONE).count()


@contextmanager
def _measured() -> Iterator[Callable[[], Took]]:
    began, spent = time.perf_counter(), time.process_time()
    found: list[Took] = []
    yield lambda: found[0]
    found.append(Took(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - spent))


def _wait(is_done: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + LONGEST_SECONDS
    while not is_done():
        if time.monotonic() > until:
            raise SystemExit(f"{what} were not handled within {LONGEST_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _answer(order: dict[str, Any]) -> Any:
    work = {each.__name__: each for each in (prepare, remove, fill, hand_over, deliver, trickle)}[order.pop("do")]
    try:
        found = work(**order)
    except (Exception, SystemExit) as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    return asdict(found) if isinstance(found, Took) else found


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)
