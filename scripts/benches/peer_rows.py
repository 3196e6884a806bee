"""The peer's rows: from those of its databases to shapes, and from a wanted order to the rows of a new one."""

import hashlib
import itertools
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import HTTPException

from scripts.benches import shapes
from scripts.benches.recorded import Recorded
from shop.sharding.ids import EPOCH_MS, bucket_of, compose
from shop.sharding.public_ids import number_of, order_number, public_id

WINDOW: Final = timedelta(seconds=1800)
HELD_LONGER: Final = timedelta(seconds=900)
LEASE: Final = timedelta(seconds=30)
LATER: Final = timedelta(days=1)
WORKERS: Final = 512
"""The upper half of the numbers in IDs: the shop leases from the lowest up."""

_count = itertools.count(int(time.time() * 1000) - EPOCH_MS)
_worker: Final = WORKERS + os.getpid() % WORKERS  # processes started one after another differ

type Row = Mapping[str, Any]


def new_id(near: int) -> int:
    """A new ID in the bucket of ``near``."""
    return compose(bucket=bucket_of(near), tick=next(_count), worker=_worker)


def product_of_row(row: Any) -> shapes.Product:
    """A row of the shop's statement as a shape."""
    return shapes.Product(
        id=public_id("prd", row["id"]),
        name=row["name"],
        description=row["description"],
        category_id=public_id("cat", row["category_id"]),
        status=row["status"],
        attributes=json.loads(row["attributes"]),
        image_url=row["image_url"] or None,
        variants=[_variant(each) for each in sorted(json.loads(row[-1]))],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _variant(row: Sequence[Any]) -> shapes.Variant:
    number, product_id, sku, options, amount, currency, available = row
    return shapes.Variant(
        id=public_id("var", number),
        product_id=public_id("prd", product_id),
        sku=sku,
        options=options,
        price=shapes.Money(amount=amount, currency=currency),
        available=available or 0,
    )


def order_of_row(row: Any) -> shapes.Order:
    """A row of the shop's statement as a shape."""
    lines, payments, refunds, shipments = (sorted(json.loads(part or "[]")) for part in list(row)[-4:])
    found = dict(row) | {"shipping_address": json.loads(row["shipping_address"])}
    if payments or refunds or shipments:
        raise NotImplementedError("the orders of a bench are not paid")
    return order_of(found, [dict(zip(_LINE, line, strict=True)) for line in lines])


_LINE: Final = ("position", "variant_id", "product_id", "sku", "name", "quantity", "unit_price", "total")


def order_of(row: Row, lines: Sequence[Row]) -> shapes.Order:
    """An order that is not paid yet, as a shape."""
    currency = row["currency"]

    def money(amount: int) -> shapes.Money:
        return shapes.Money(amount=amount, currency=currency)

    return shapes.Order(
        id=public_id("ord", row["id"]),
        number=order_number(row["id"]),
        customer_id=public_id("cus", row["customer_id"]),
        status=row["status"],
        payment_status=row["payment_status"],
        fulfilment_status=row["fulfilment_status"],
        currency=currency,
        lines=[
            shapes.Line(
                variant_id=public_id("var", line["variant_id"]),
                product_id=public_id("prd", line["product_id"]),
                sku=line["sku"],
                name=line["name"],
                quantity=line["quantity"],
                unit_price=money(line["unit_price"]),
                total=money(line["total"]),
            )
            for line in lines
        ],
        subtotal=money(row["subtotal"]),
        discount_total=money(row["discount_total"]),
        shipping_total=money(row["shipping_total"]),
        tax_total=money(row["tax_total"]),
        total=money(row["total"]),
        shipping_address=shapes.Address.model_validate(row["shipping_address"]),
        payments=[],
        shipments=[],
        refunds=[],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        placed_at=row["placed_at"],
        updated_at=row["updated_at"],
    )


class Placing:
    """One order on its way: what is known so far, as values for the next statement."""

    def __init__(self, *, body: shapes.NewOrder, customer_id: int, key: str, sent: bytes) -> None:
        self.answer = b""
        self._now = datetime.now(UTC)
        self._body = body
        self._wanted = {number_of("var", line.variant_id): line.quantity for line in body.lines}
        self._order_id = new_id(customer_id)
        self._customer_id = customer_id
        claim = {
            "id": new_id(customer_id),
            "principal": f"customer:{customer_id}",
            "key": key,
            "fingerprint": hashlib.sha256(b"POST\0/api/v1/ordering/orders\0" + sent).hexdigest(),
            "state": "running",
            "lease_token": uuid.uuid4(),
            "lease_until": self._now + LEASE,
            "resource_id": self._order_id,
            "status": None,
            "headers": "{}",
            "body": b"",
            "created_at": self._now,
        }
        ids = sorted(self._wanted)
        self._named = {
            "order_id": self._order_id,
            "lines": [new_id(each) for each in ids],
            "ids": ids,
            "quantities": [self._wanted[each] for each in ids],
            "expires_at": self._now + WINDOW + HELD_LONGER,
            "now": self._now,
        }
        self._rows: dict[str, list[Row]] = {"shop_idempotencyclaim": [claim]}

    def values(self, statement: Recorded) -> list[Any]:
        """What ``statement`` is to be run with."""
        return [self._value(each) for each in statement.values]

    def _value(self, name: str) -> Any:
        if name.startswith("="):
            return self._rows["shop_idempotencyclaim"][0][name[1:]]
        table, _, column = name.partition(".")
        if not column:
            return self._named[table]
        if column.endswith("[]"):
            return [row[column[:-2]] for row in self._rows[table]]
        [row] = self._rows[table]
        return row[column]

    def saw(self, statement: Recorded, rows: Sequence[Any]) -> None:
        """Take what ``statement`` brought."""
        if "shop_catalog_reservationline" in statement.text:
            if len(rows) != len(self._wanted):
                raise HTTPException(409, "out_of_stock")
            self._offered({row[0]: row for row in rows})
        elif statement.values[0] == "shop_idempotencyclaim.id" and not rows:
            raise HTTPException(409, "idempotency_in_progress")

    def _offered(self, offers: dict[int, Any]) -> None:
        """The rows of the order and its answer, at the prices that were offered."""
        lines: list[Row] = []
        for position, (variant_id, quantity) in enumerate(self._wanted.items()):
            _, product_id, sku, options, price, _, _, name, _ = offers[variant_id]
            shown = ", ".join(json.loads(options).values())
            lines.append(
                {
                    "id": new_id(self._customer_id),
                    "order_id": self._order_id,
                    "position": position,
                    "variant_id": variant_id,
                    "product_id": product_id,
                    "sku": sku,
                    "name": f"{name} ({shown})" if shown else name,
                    "quantity": quantity,
                    "unit_price": price,
                    "total": price * quantity,
                }
            )
        currencies = {row[5] for row in offers.values()}
        if len(currencies) > 1:
            raise HTTPException(409, "currency_mismatch")
        order = self._order(sum(line["total"] for line in lines), currencies.pop())
        self.answer = order_of(order, lines).model_dump_json().encode()
        written: dict[str, list[Row]] = {
            "shop_ordering_order": [{**order, "shipping_address": json.dumps(order["shipping_address"])}],
            "shop_ordering_orderline": lines,
            "shop_ordering_timelineentry": [
                {
                    "id": new_id(self._customer_id),
                    "order_id": self._order_id,
                    "type": "order_created",
                    "data": "{}",
                    "at": self._now,
                }
            ],
            "shop_outboxevent": [self._event()],
        }
        self._rows |= written
        kept = {"state": "done", "status": 201, "headers": '{"Content-Type": "application/json"}', "body": self.answer}
        self._rows["shop_idempotencyclaim"] = [{**self._rows["shop_idempotencyclaim"][0], **kept}]

    def _order(self, total: int, currency: str) -> dict[str, Any]:
        return {
            "id": self._order_id,
            "customer_id": self._customer_id,
            "status": "pending_payment",
            "payment_status": "unpaid",
            "fulfilment_status": "unfulfilled",
            "currency": currency,
            "subtotal": total,
            "discount_total": 0,
            "shipping_total": 0,
            "tax_total": 0,
            "total": total,
            "shipping_address": self._body.shipping_address.model_dump(),
            "cancel_reason": "",
            "expires_at": self._now + WINDOW,
            "created_at": self._now,
            "placed_at": None,
            "updated_at": self._now,
            "event_seq": 1,
            "cart_id": None,
            "cart_version": None,
        }

    def _event(self) -> dict[str, Any]:
        return {
            "id": new_id(self._customer_id),
            "topic": "ordering.order_created.v1",
            "key": str(self._order_id),
            "shard_key": self._customer_id,
            "event_seq": 1,
            "payload": json.dumps({"order_id": str(self._order_id), "customer_id": str(self._customer_id)}),
            "traceparent": "",
            "actor": str(self._customer_id),
            "causation": "",
            "created_at": self._now,
            "state": "pending",
            "reason": "",
            "available_at": self._now + LATER,  # the shop's relay passes over it
            "lease_token": None,
            "lease_until": None,
        }
