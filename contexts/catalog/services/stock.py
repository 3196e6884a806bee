"""Stock of variants: locks, the one statement that changes it, the ledger. The other use cases come in here.

Database: every writer runs inside the caller's `shard_atomic` and has locked the levels first.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from contexts.catalog.contract import (
    StockDepleted,
    StockState,
    StockWouldBeNegativeError,
)
from contexts.catalog.domain import MovementCard, MovementReason
from contexts.catalog.models import StockLevel, StockMovement, Variant
from contexts.catalog.models.statements import CHANGE
from contexts.catalog.services.placing import CONTEXT
from shop.contract import NotFoundError
from shop.events import to_publish
from shop.sharding import new_id, shard_atomic
from shop.sharding.scatter import Page, keyset
from shop.sharding.together import insert_together

NEWEST: Final = ("-at", "-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is added to a level."""

    on_hand: int = 0
    reserved: int = 0

    @property
    def taken(self) -> int:
        """Pieces that must be available for it."""
        return self.reserved - self.on_hand


def locked_levels(variant_ids: Sequence[int]) -> dict[int, StockLevel]:
    """Levels of one shard's variants, locked in ID order until the transaction ends; unknown ones are left out."""
    rows = StockLevel.objects.filter(pk__in=variant_ids).select_for_update().order_by("pk")
    return {level.pk: level for level in rows}


def change_levels(levels: Mapping[int, StockLevel], changes: Mapping[int, Change]) -> None:
    """Apply ``changes`` to locked levels. The transaction's last statement.

    Raises:
        RuntimeError: A level has not the pieces. The lock and the look before it make that a bug.

    Emits: `StockDepleted` where the last free piece goes.
    """
    depleted = {
        variant_id
        for variant_id, change in changes.items()
        if change.taken > 0 and levels[variant_id].available == change.taken
    }
    _tell_depleted([levels[variant_id] for variant_id in sorted(depleted)])
    ids = sorted(changes)
    if not ids:
        return
    changed = CHANGE.write(
        CONTEXT,
        ids[0],
        ids=ids,
        on_hand=[changes[each].on_hand for each in ids],
        reserved=[changes[each].reserved for each in ids],
        events=[int(each in depleted) for each in ids],
    )
    if len(changed) != len(ids):
        raise RuntimeError(f"{len(ids) - len(changed)} stock levels changed under their lock")


def _tell_depleted(levels: Collection[StockLevel]) -> None:
    if not levels:
        return
    skus = dict(Variant.objects.filter(pk__in=[level.pk for level in levels]).values_list("pk", "sku"))
    told = [StockDepleted(variant_id=str(level.pk), sku=skus[level.pk]) for level in levels]
    insert_together(*(to_publish(event, seq=level.event_seq + 1) for event, level in zip(told, levels, strict=True)))


def add_movements(
    levels: Mapping[int, StockLevel], deltas: Mapping[int, int], *, reason: MovementReason, cause: str
) -> None:
    """Write into the ledger what `change_levels` is about to do to the pieces on hand."""
    rows = [_movement(levels[variant_id], delta, reason=reason, cause=cause) for variant_id, delta in deltas.items()]
    if rows:
        insert_together(*rows)


def _movement(
    level: StockLevel, delta: int, *, reason: MovementReason, cause: str, movement_id: int | None = None
) -> StockMovement:
    return StockMovement(
        id=movement_id or new_id(CONTEXT, near=level.pk),
        variant_id=level.pk,
        delta=delta,
        reason=reason,
        cause=cause,
        on_hand=level.on_hand + delta,
        at=datetime.now(UTC),
    )


def stock_of(variant_id: int) -> StockState:
    """Pieces of one variant.

    Raises:
        NotFoundError: There is none.
    """
    level = StockLevel.objects.filter(pk=variant_id).first()
    if level is None:
        raise NotFoundError(detail="there is no such variant")
    return StockState(
        variant_id=str(level.pk), on_hand=level.on_hand, reserved=level.reserved, available=level.available
    )


def adjust(
    *,
    variant_id: int,
    delta: int,
    reason: str,
    movement_id: int | None = None,
    done: Callable[[MovementCard], None] | None = None,
) -> MovementCard:
    """Add ``delta`` pieces; the ledger keeps ``reason``.

    Args:
        variant_id: Of what.
        delta: How many; fewer when negative.
        reason: ``received``, or anything else for an adjustment.
        movement_id: Of the ledger's entry; a repetition under the same one finds it.
        done: Called with the entry within its transaction, as the last thing.

    Raises:
        NotFoundError: There is no such variant.
        StockWouldBeNegativeError: Fewer than ``-delta`` pieces are free.
    """
    with shard_atomic(CONTEXT, variant_id):
        levels = locked_levels([variant_id])
        if not levels:
            raise NotFoundError(detail="there is no such variant")
        if movement_id and (known := StockMovement.objects.filter(pk=movement_id).first()):
            return _movement_card(known)
        level = levels[variant_id]
        if level.available + delta < 0:
            raise StockWouldBeNegativeError(detail=f"only {level.available} pieces are free")
        kind = MovementReason.RECEIVED if reason == MovementReason.RECEIVED else MovementReason.ADJUSTED
        movement = _movement(level, delta, reason=kind, cause=reason, movement_id=movement_id)
        movement.save(force_insert=True)
        change_levels(levels, {variant_id: Change(on_hand=delta)})
        made = _movement_card(movement)
        if done is not None:
            done(made)
    return made


def list_movements(variant_id: int, *, limit: int, after: Sequence[Any] | None) -> Page[MovementCard]:
    """The variant's ledger, newest first.

    Raises:
        NotFoundError: There is no such variant.
    """
    stock_of(variant_id)
    rows = StockMovement.objects.filter(variant_id=variant_id).order_by(*NEWEST)
    if after is not None:
        rows = rows.filter(keyset(NEWEST, after))
    found = list(rows[: limit + 1])
    return Page(rows=[_movement_card(row) for row in found[:limit]], more=len(found) > limit)


def _movement_card(row: StockMovement) -> MovementCard:
    return MovementCard(
        id=row.pk,
        type=MovementReason(row.reason),
        delta=row.delta,
        reason=row.cause,
        on_hand=row.on_hand,
        at=row.at,
    )
