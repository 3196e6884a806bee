"""Stock of variants: locks, the one statement that changes it, the ledger. The other use cases come in here.

Database: every writer runs inside the caller's `shard_atomic` and has locked the levels first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Final

from django.db.models import BigIntegerField, Case, F, Value, When

from contexts.catalog.contract import (
    StockDepleted,
    StockState,
    StockWouldBeNegativeError,
    VariantNotFoundError,
)
from contexts.catalog.domain import MovementReason
from contexts.catalog.models import StockLevel, StockMovement, Variant
from contexts.catalog.services.placing import CONTEXT
from shop.events import publish
from shop.sharding import new_id, shard_atomic

MOST_PER_STATEMENT: Final = 200


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
    """Apply ``changes`` to locked levels. The transaction's last statements.

    Raises:
        RuntimeError: A level has not the pieces. The lock and the look before it make that a bug.

    Emits: `StockDepleted` where the last free piece goes.
    """
    depleted = [
        variant_id
        for variant_id, change in changes.items()
        if change.taken > 0 and levels[variant_id].available == change.taken
    ]
    _tell_depleted([levels[variant_id] for variant_id in depleted])
    for chunk in batched(sorted(changes), MOST_PER_STATEMENT):
        free = StockLevel.objects.filter(pk__in=chunk).annotate(free=F("on_hand") - F("reserved"))
        changed = free.filter(free__gte=_each({i: changes[i].taken for i in chunk})).update(
            on_hand=F("on_hand") + _each({i: changes[i].on_hand for i in chunk}),
            reserved=F("reserved") + _each({i: changes[i].reserved for i in chunk}),
            event_seq=F("event_seq") + _each({i: int(i in depleted) for i in chunk}),
        )
        if changed != len(chunk):
            raise RuntimeError(f"{len(chunk) - changed} stock levels changed under their lock")


def _each(values: Mapping[int, int]) -> Value | Case:
    """The value of the row's own ID."""
    different = set(values.values())
    if len(different) == 1:
        return Value(different.pop(), output_field=BigIntegerField())
    cases = [When(pk=key, then=Value(value)) for key, value in values.items()]
    return Case(*cases, output_field=BigIntegerField())


def _tell_depleted(levels: Collection[StockLevel]) -> None:
    if not levels:
        return
    skus = dict(Variant.objects.filter(pk__in=[level.pk for level in levels]).values_list("pk", "sku"))
    for level in levels:
        publish(StockDepleted(variant_id=str(level.pk), sku=skus[level.pk]), seq=level.event_seq + 1)


def add_movements(
    levels: Mapping[int, StockLevel], deltas: Mapping[int, int], *, reason: MovementReason, cause: str
) -> None:
    """Write into the ledger what `change_levels` is about to do to the pieces on hand."""
    now = datetime.now(UTC)
    StockMovement.objects.bulk_create(
        StockMovement(
            id=new_id(CONTEXT, near=variant_id),
            variant_id=variant_id,
            delta=delta,
            reason=reason,
            cause=cause,
            on_hand=levels[variant_id].on_hand + delta,
            at=now,
        )
        for variant_id, delta in deltas.items()
    )


def stock_of(variant_id: int) -> StockState:
    """Pieces of one variant.

    Raises:
        VariantNotFoundError: There is none.
    """
    level = StockLevel.objects.filter(pk=variant_id).first()
    if level is None:
        raise VariantNotFoundError(detail="there is no such variant")
    return _state(level.pk, level.on_hand, level.reserved)


def adjust(*, variant_id: int, delta: int, reason: str) -> StockState:
    """Add ``delta`` pieces; the ledger keeps ``reason``.

    Raises:
        VariantNotFoundError: There is no such variant.
        StockWouldBeNegativeError: Fewer than ``-delta`` pieces are free.
    """
    with shard_atomic(CONTEXT, variant_id):
        levels = locked_levels([variant_id])
        if not levels:
            raise VariantNotFoundError(detail="there is no such variant")
        level = levels[variant_id]
        if level.available + delta < 0:
            raise StockWouldBeNegativeError(detail=f"only {level.available} pieces are free")
        kind = MovementReason.RECEIVED if reason == MovementReason.RECEIVED else MovementReason.ADJUSTED
        add_movements(levels, {variant_id: delta}, reason=kind, cause=reason)
        change_levels(levels, {variant_id: Change(on_hand=delta)})
    return _state(variant_id, level.on_hand + delta, level.reserved)


def _state(variant_id: int, on_hand: int, reserved: int) -> StockState:
    return StockState(variant_id=str(variant_id), on_hand=on_hand, reserved=reserved, available=on_hand - reserved)
