"""Holding stock for an order: reserve, commit, cancel, expire. The provider and the sweeper come in here.

Every transition locks the variants' stock levels in ID order, looks at the order's lines under that lock, and
changes stock last. One transaction per shard, shards in bucket order: two orders with the same variants in opposite
order can't wait for each other in a circle, and a repetition finds in the lines what the first one did.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from django.db import IntegrityError

from contexts.catalog.contract import (
    NotForSaleError,
    Offer,
    OutOfStockError,
    Refusal,
    ReservationCancelledError,
    VariantNotFoundError,
)
from contexts.catalog.domain import FINAL, LineState, MovementReason
from contexts.catalog.models import ReservationLine, StockLevel
from contexts.catalog.models.statements import HOLD
from contexts.catalog.services.offering import in_order, offers
from contexts.catalog.services.placing import CONTEXT, by_shard
from contexts.catalog.services.stock import Change, add_movements, change_levels, locked_levels
from shop.sharding import new_id, rerouted, shard_atomic
from shop.sharding.public_ids import public_id
from shop.sharding.statements import Row

type Lines = dict[int, ReservationLine]

BATCH: Final = 200


def reserve(*, order_id: int, lines: Sequence[tuple[int, int]], expires_at: datetime) -> tuple[Offer, ...]:
    """Hold ``lines``, pairs of variant and quantity, or nothing. See the contract.

    A refusal lets go of everything the order holds of these variants, whichever attempt took it.
    """
    wanted: dict[int, int] = {}
    for variant_id, quantity in lines:
        if quantity < 1:
            raise ValueError("a line asks for one piece at least")
        wanted[variant_id] = wanted.get(variant_id, 0) + quantity
    asked = [variant_id for variant_id, _ in lines]
    return rerouted(CONTEXT, partial(_reserve, order_id, wanted, asked, expires_at))


def _reserve(order_id: int, wanted: Mapping[int, int], asked: Sequence[int], expires_at: datetime) -> tuple[Offer, ...]:
    if held := _hold_all_at_once(order_id, wanted, expires_at):
        return in_order(held, asked)
    try:
        found = offers(asked)
        _refuse_what_is_not_for_sale(order_id, found)
        short = _hold_everywhere(order_id, wanted, expires_at)
    except (NotForSaleError, ReservationCancelledError, VariantNotFoundError):
        _let_go_everywhere(order_id, wanted)
        raise
    if short:
        _let_go_everywhere(order_id, wanted)
        raise OutOfStockError(detail="fewer pieces are left than were asked for", lines=_in_order(short, wanted))
    return found


def _hold_all_at_once(order_id: int, wanted: Mapping[int, int], expires_at: datetime) -> list[Row]:
    """Hold everything by one statement per shard; no rows unless all of it was free, for sale and new to the order.

    What the first shards hold when a later one can't is found there by the longer way, like any repetition's.
    """
    rows: list[Row] = []
    for ids in by_shard(wanted):
        held = _hold_at_once(order_id, ids, wanted, expires_at)
        if not held:
            return []
        rows += held
    return rows


def _hold_at_once(order_id: int, ids: list[int], wanted: Mapping[int, int], expires_at: datetime) -> list[Row]:
    try:
        return HOLD.write(
            CONTEXT,
            *ids,
            order_id=order_id,
            lines=[new_id(CONTEXT, near=each) for each in ids],
            ids=ids,
            quantities=[wanted[each] for each in ids],
            expires_at=expires_at,
            now=datetime.now(UTC),
        )
    except IntegrityError:
        return []  # the order was here before


def _refuse_what_is_not_for_sale(order_id: int, found: Iterable[Offer]) -> None:
    """A repetition may still have what left the shop after the first time."""
    asked = [int(offer.variant_id) for offer in found if not offer.for_sale]
    refused: list[int] = []
    for ids in by_shard(asked):
        lines = _lines(order_id, ids)
        refused += [each for each in ids if each not in lines or lines[each].state == LineState.EXPIRED]
    if refused:
        refusals = tuple(Refusal(variant_id=str(each)) for each in dict.fromkeys(asked) if each in refused)
        raise NotForSaleError(detail="some products are not for sale", lines=refusals)


def _hold_everywhere(order_id: int, wanted: Mapping[int, int], expires_at: datetime) -> list[Refusal]:
    """Hold shard by shard; after the first refusal only look, so that every short line is named."""
    short: list[Refusal] = []
    for ids in by_shard(wanted):
        if short:
            levels = {level.pk: level for level in StockLevel.objects.filter(pk__in=ids)}
            short += _short(levels, _to_take(_lines(order_id, ids), ids), wanted)
        else:
            short += _hold(order_id, {each: wanted[each] for each in ids}, expires_at)
    return short


def _hold(order_id: int, wanted: Mapping[int, int], expires_at: datetime) -> list[Refusal]:
    """Hold on one shard, or return what is short there."""
    ids, now = sorted(wanted), datetime.now(UTC)
    with shard_atomic(CONTEXT, *ids):
        levels, lines = locked_levels(ids), _lines(order_id, ids)
        _refuse_cancelled(lines)
        _refuse_other_quantities(lines, wanted)
        taking = _to_take(lines, ids)
        if short := _short(levels, taking, wanted):
            return short
        kept = ReservationLine.objects.filter(pk__in=[line.pk for line in lines.values()])
        kept.filter(state=LineState.HELD, expires_at__lt=expires_at).update(expires_at=expires_at, updated_at=now)
        kept.filter(state=LineState.EXPIRED).update(state=LineState.HELD, expires_at=expires_at, updated_at=now)
        new = {each: wanted[each] for each in taking if each not in lines}
        _add_lines(order_id, new, LineState.HELD, expires_at)
        change_levels(levels, {each: Change(reserved=wanted[each]) for each in taking})
    return []


def commit(*, order_id: int, variant_ids: Sequence[int]) -> None:
    """Sell what is held. See the contract; one shard's lines are sold together or not at all."""
    rerouted(CONTEXT, partial(_commit_everywhere, order_id, variant_ids))


def _commit_everywhere(order_id: int, variant_ids: Sequence[int]) -> None:
    short: list[Refusal] = []
    for ids in by_shard(variant_ids):
        short += _commit(order_id, ids)
    if short:
        wanted = dict.fromkeys(variant_ids, 0)
        raise OutOfStockError(detail="the hold expired and the pieces are gone", lines=_in_order(short, wanted))


def _commit(order_id: int, ids: Sequence[int]) -> list[Refusal]:
    with shard_atomic(CONTEXT, *ids):
        levels, lines = locked_levels(ids), _lines(order_id, ids)
        _refuse_cancelled(lines)
        sold = {each: line.quantity for each, line in lines.items() if line.state != LineState.COMMITTED}
        never_held = [each for each in ids if each not in lines]
        lapsed = [each for each in sold if lines[each].state == LineState.EXPIRED]
        if short := _short(levels, lapsed, sold) + [_refusal(levels, each) for each in never_held]:
            return short
        _set_state([lines[each] for each in sold], LineState.COMMITTED)
        taken = {each: -quantity for each, quantity in sold.items()}
        add_movements(levels, taken, reason=MovementReason.SOLD, cause=f"order {public_id('ord', order_id)}")
        change_levels(
            levels,
            {
                each: Change(on_hand=-quantity, reserved=0 if each in lapsed else -quantity)
                for each, quantity in sold.items()
            },
        )
    return []


def cancel(*, order_id: int, variant_ids: Sequence[int]) -> None:
    """Give everything back for good. See the contract; variants that do not exist are passed over."""
    rerouted(CONTEXT, partial(_cancel_everywhere, order_id, variant_ids))


def _cancel_everywhere(order_id: int, variant_ids: Sequence[int]) -> None:
    for ids in by_shard(variant_ids):
        _cancel(order_id, ids)


def _cancel(order_id: int, ids: Sequence[int]) -> None:
    with shard_atomic(CONTEXT, *ids):
        levels, lines = locked_levels(ids), _lines(order_id, ids)
        open_lines = [line for line in lines.values() if line.state not in FINAL]
        held = {line.variant_id: line.quantity for line in open_lines if line.state == LineState.HELD}
        sold = {line.variant_id: line.quantity for line in open_lines if line.state == LineState.COMMITTED}
        _set_state([line for line in open_lines if line.variant_id not in sold], LineState.CANCELLED)
        _set_state([lines[each] for each in sold], LineState.RETURNED)
        never_came = dict.fromkeys((each for each in levels if each not in lines), 0)
        _add_lines(order_id, never_came, LineState.CANCELLED, datetime.now(UTC))
        add_movements(levels, sold, reason=MovementReason.RETURNED, cause=f"order {public_id('ord', order_id)}")
        changes = {each: Change(reserved=-quantity) for each, quantity in held.items()}
        changes |= {each: Change(on_hand=quantity) for each, quantity in sold.items()}
        change_levels(levels, changes)


def expire_due(now: datetime) -> int:
    """Let go of lines held past their time, in batches; returns how many. Two at once do no harm.

    Database: one short transaction per shard and batch.
    """
    expired = 0
    while True:
        due = ReservationLine.objects.filter(state=LineState.HELD, expires_at__lt=now)
        page = due.across(partial=True).page(order=("expires_at", "id"), limit=BATCH)
        lines = {line.pk: line.variant_id for line in page.rows}
        for ids in by_shard(lines):
            expired += _let_go(ids, [lines[each] for each in ids], before=now)
        if not page.more:
            return expired


def _let_go_everywhere(order_id: int, variant_ids: Iterable[int]) -> None:
    for ids in by_shard(variant_ids):
        held = [line.pk for line in _lines(order_id, ids).values() if line.state == LineState.HELD]
        if held:
            _let_go(held, ids)


def _let_go(line_ids: Sequence[int], variant_ids: Iterable[int], *, before: datetime | None = None) -> int:
    """Expire those of the lines that are still held, and due before ``before``; returns how many were."""
    ids = sorted(set(variant_ids))
    with shard_atomic(CONTEXT, *ids):
        levels = locked_levels(ids)
        still = ReservationLine.objects.filter(pk__in=line_ids, state=LineState.HELD)
        lines = list(still if before is None else still.filter(expires_at__lt=before))
        freed: dict[int, int] = {}
        for line in lines:
            freed[line.variant_id] = freed.get(line.variant_id, 0) + line.quantity
        _set_state(lines, LineState.EXPIRED)
        change_levels(levels, {each: Change(reserved=-quantity) for each, quantity in freed.items()})
    return len(lines)


def _lines(order_id: int, ids: Sequence[int]) -> Lines:
    """The order's lines of variants of one shard, by variant."""
    rows = ReservationLine.objects.filter(order_id=order_id, variant_id__in=ids)
    return {line.variant_id: line for line in rows}


def _to_take(lines: Lines, ids: Iterable[int]) -> list[int]:
    return [each for each in ids if each not in lines or lines[each].state == LineState.EXPIRED]


def _short(levels: Mapping[int, StockLevel], taking: Iterable[int], wanted: Mapping[int, int]) -> list[Refusal]:
    return [_refusal(levels, each) for each in taking if levels[each].available < wanted[each]]


def _refusal(levels: Mapping[int, StockLevel], variant_id: int) -> Refusal:
    level = levels.get(variant_id)
    return Refusal(variant_id=str(variant_id), available=level.available if level else 0)


def _in_order(refusals: Iterable[Refusal], wanted: Iterable[int]) -> tuple[Refusal, ...]:
    by_id = {refusal.variant_id: refusal for refusal in refusals}
    return tuple(by_id[str(each)] for each in wanted if str(each) in by_id)


def _refuse_cancelled(lines: Lines) -> None:
    if any(line.state in FINAL for line in lines.values()):
        raise ReservationCancelledError(detail="the order's reservation was cancelled")


def _refuse_other_quantities(lines: Lines, wanted: Mapping[int, int]) -> None:
    if any(line.quantity != wanted[each] for each, line in lines.items()):
        raise ValueError("the order reserved other quantities before")


def _set_state(lines: Sequence[ReservationLine], state: LineState) -> None:
    if lines:
        same = ReservationLine.objects.filter(pk__in=[line.pk for line in lines])
        same.update(state=state, updated_at=datetime.now(UTC))


def _add_lines(order_id: int, quantities: Mapping[int, int], state: LineState, expires_at: datetime) -> None:
    now = datetime.now(UTC)
    ReservationLine.objects.bulk_create(
        ReservationLine(
            id=new_id(CONTEXT, near=variant_id),
            order_id=order_id,
            variant_id=variant_id,
            quantity=quantity,
            state=state,
            expires_at=expires_at,
            updated_at=now,
        )
        for variant_id, quantity in quantities.items()
    )
