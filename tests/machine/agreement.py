"""What is stored, and what the model says should be: the same words for both. And how everything is forgotten again."""

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db import connections

from contexts.catalog.contract import ProductChanged
from contexts.ordering.services.providers.fake_books import books
from shop.events.models import InboxEntry, OutboxEvent
from shop.events.relay import drain
from shop.invariants.registry import declared
from shop.invariants.runner import Runner
from shop.sharding import aliases_of, key_of_bucket, shard_atomic, shard_map
from shop.sharding.public_ids import public_id
from shop.sharding.sharded import ShardedModel
from tests.machine.model import Model
from tests.machine.shop import Shop
from tests.machine.things import ABSENT, CANCELLED, EXPIRED, Hold

type State = dict[str, Any]

KEPT = ("shop_catalog_product", "shop_catalog_variant")
KERNEL = ("shop_inboxentry", "shop_outcome")


def stored(shop: Shop) -> State:
    """As the databases have it. What expired of a reservation is left out: it is as if it had never come."""
    variant = {each: number for number, each in enumerate(shop.variants)}
    levels = _rows("catalog", "SELECT id, on_hand, reserved FROM shop_catalog_stocklevel")
    lines = _rows(
        "catalog",
        "SELECT order_id, variant_id, state, quantity FROM shop_catalog_reservationline WHERE state <> 'expired'",
    )
    orders = _rows(
        "ordering",
        "SELECT id, status, payment_status, fulfilment_status, total, currency FROM shop_ordering_order",
    )
    payments = _rows("ordering", "SELECT id, order_id, status, surplus, amount FROM shop_ordering_payment")
    refunds = _rows("ordering", "SELECT payment_id, amount, status, by_system FROM shop_ordering_refund")
    return {
        "stock": {variant[key]: tuple(pieces) for key, *pieces in levels},
        "lines": {(order, variant[key]): (state, _pieces(state, pieces)) for order, key, state, pieces in lines},
        "orders": {key: tuple(rest) for key, *rest in orders},
        "payments": {key: (order, status, bool(surplus), amount) for key, order, status, surplus, amount in payments},
        "refunds": sorted((payment, amount, status, bool(system)) for payment, amount, status, system in refunds),
        "provider": _books(),
    }


def _rows(context: str, sql: str) -> list[tuple[Any, ...]]:
    """Of all shards. Not by the ORM: this is asked after every step."""
    found: list[tuple[Any, ...]] = []
    for alias in aliases_of(context):
        with connections[alias].cursor() as cursor:
            cursor.execute(sql)
            found += cursor.fetchall()
    return found


def said(model: Model) -> State:
    """As the model has it."""
    lines = [(hold, line) for hold in model.holds for line in hold.lines if line.state not in (ABSENT, EXPIRED)]
    return {
        "stock": {number: (model.on_hand[number], model.reserved(number)) for number in range(len(model.on_hand))},
        "lines": {(hold.id, line.variant): (line.state, _pieces(line.state, line.quantity)) for hold, line in lines},
        "orders": {
            order.id: (order.status, order.payment_status, order.fulfilment, order.total, "GBP")
            for order in model.orders
        },
        "payments": {
            each.id: (each.order.id, each.status, each.surplus, each.order.total) for each in model.attempts()
        },
        "refunds": sorted(
            (each.attempt.id, each.amount, each.status, each.by_system)
            for order in model.orders
            for each in order.refunds
        ),
        "provider": {
            f"{each.id}:create:1": (each.theirs, each.named, each.given_back)
            for each in model.attempts()
            if each.theirs
        },
    }


def _pieces(state: str, quantity: int) -> int:
    """A line that was cancelled before it came has none."""
    return 0 if state == CANCELLED else quantity


def _books() -> dict[str, tuple[str, bool, int]]:
    with books() as cursor:
        cursor.execute(
            "SELECT i.key, i.status, i.payment_id, coalesce(sum(r.amount), 0) FROM fake_intent i"
            " LEFT JOIN fake_refund r ON r.intent = i.reference GROUP BY i.key, i.status, i.payment_id"
        )
        return {key: (status, bool(named), int(back)) for key, status, named, back in cursor.fetchall()}


def loose_ends(model: Model, strangers: Iterable[Hold]) -> list[str]:
    """What is not as it must be once nothing is under way: the shop's own invariants, and what is left over.

    That ``strangers`` bought of catalog is known to nobody in ordering, which an invariant rightly finds.
    """
    assert drain(list(aliases_of("catalog")))
    known = {public_id("ord", each.id) for each in strangers}
    verdicts = Runner(away={}, told=lambda *_: None).run(declared(), settle_seconds=0.0, wait_seconds=0.0)
    found = [(each.invariant.name, finding) for each in verdicts for finding in each.findings]
    ends = [f"invariant {name}: {each.detail} {each.ids}" for name, each in found if known.isdisjoint(each.ids)]
    ends += [f"invariant {each.invariant.name}: {u.place} did not answer" for each in verdicts for u in each.unasked]
    for order in model.orders:
        if order.status in ("cancelled", "expired") and any(order.left_of(each) for each in order.attempts):
            ends.append(f"order {order.id} is {order.status} and has not given all its money back")
    for alias in aliases_of("ordering"):
        left = OutboxEvent.objects.using(alias).filter(state="pending").count()
        undone = InboxEntry.objects.using(alias).exclude(state="done").count()
        if left or undone:
            ends.append(f"{alias}: {left} events are not handed over, {undone} not handled")
    return ends


def forget() -> None:
    """Empty every table that a step writes, the shelves included; products stay."""
    for context in ("catalog", "ordering"):
        models = apps.get_app_config(f"shop_{context}").get_models()
        mine = [model._meta.db_table for model in models if issubclass(model, ShardedModel)]
        tables = [table for table in mine if table not in (*KEPT, "shop_catalog_stocklevel")]
        owners = shard_map(context)
        for alias in owners.owners():
            key = key_of_bucket(owners.slices_of(alias)[0][0])
            with shard_atomic(context, key), connections[alias].cursor() as cursor:
                for table in (*tables, *KERNEL):
                    cursor.execute(f"DELETE FROM {table}")  # noqa: S608  names of our own models
                cursor.execute("DELETE FROM shop_outboxevent WHERE topic <> %s", [ProductChanged.topic()])
                if context == "catalog":
                    cursor.execute("UPDATE shop_catalog_stocklevel SET on_hand = 0, reserved = 0, event_seq = 0")
    with books() as cursor:
        for table in ("fake_refund", "fake_intent"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608  two names
