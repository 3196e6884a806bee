"""What must hold of stock: invariants 1 to 4 and the catalog's part of 5. `apps` declares them; reads only.

Each is one statement per window, so it sees one moment of its shard: nothing that is being changed looks broken.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import BigIntegerField, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from contexts.catalog.domain import LineState, MovementReason
from contexts.catalog.models import ReservationLine, StockLevel, StockMovement, Variant
from contexts.catalog.services.placing import CONTEXT
from shop.invariants import Finding, Window, invariant, over
from shop.sharding.public_ids import public_id

WINDOW: Final = 200
"""Variants whose whole history one statement adds up."""
EXPIRY_GRACE: Final = timedelta(minutes=2)
"""The sweeper comes round every few seconds; what is held longer than this past its time was forgotten."""


def declare_invariants() -> None:
    """Let `manage.py check_invariants` look at them."""
    invariant("1", "on hand is the sum of the movements", over(Variant, on_hand_apart, size=WINDOW), context=CONTEXT)
    invariant(
        "2", "reserved is the sum of the held lines", over(StockLevel, reserved_apart, size=WINDOW), context=CONTEXT
    )
    invariant("3", "0 ≤ reserved ≤ on hand", over(StockLevel, out_of_bounds), context=CONTEXT)
    invariant(
        "4",
        "units are conserved: on hand + sold - restocked = received + adjusted",
        over(StockLevel, not_conserved, size=WINDOW),
        context=CONTEXT,
    )
    held = over(ReservationLine, held_too_long, where=Q(state=LineState.HELD))
    invariant("5", "no line is held 2 min past its expiry", held, context=CONTEXT)


def on_hand_apart(window: Window) -> Iterator[Finding]:
    """Variants whose pieces on hand are not what their movements come to, or that have no stock level at all."""
    level = StockLevel.objects.filter(pk=OuterRef("pk")).values("on_hand")
    rows = window.of(Variant).annotate(on_hand=Subquery(level), moved=_total(StockMovement, "delta"))
    apart = rows.filter(Q(on_hand=None) | ~Q(on_hand=F("moved")))
    for variant_id, on_hand, moved in apart.values_list("pk", "on_hand", "moved"):
        here = "no stock level" if on_hand is None else f"{on_hand} on hand"
        yield _finding(variant_id, f"{here}, the movements come to {moved}")


def reserved_apart(window: Window) -> Iterator[Finding]:
    """Variants of which another number is reserved than its held lines come to."""
    rows = window.of(StockLevel).annotate(held=_total(ReservationLine, "quantity", state=LineState.HELD))
    for variant_id, reserved, held in rows.exclude(reserved=F("held")).values_list("pk", "reserved", "held"):
        yield _finding(variant_id, f"{reserved} reserved, the held lines come to {held}")


def out_of_bounds(window: Window) -> Iterator[Finding]:
    """Variants of which more is reserved than is there, or less than nothing. The database's constraints say so too."""
    rows = window.of(StockLevel).filter(Q(reserved__lt=0) | Q(reserved__gt=F("on_hand")))
    for variant_id, on_hand, reserved in rows.values_list("pk", "on_hand", "reserved"):
        yield _finding(variant_id, f"{on_hand} on hand, {reserved} reserved")


def not_conserved(window: Window) -> Iterator[Finding]:
    """Variants of which pieces have appeared or vanished: what was sold is counted by the orders' lines."""
    came = (MovementReason.RECEIVED, MovementReason.ADJUSTED)
    left = (LineState.COMMITTED, LineState.RETURNED)
    rows = window.of(StockLevel).annotate(
        came=_total(StockMovement, "delta", reason__in=came),
        sold=_total(ReservationLine, "quantity", state__in=left),
        restocked=_total(ReservationLine, "quantity", state=LineState.RETURNED),
    )
    apart = rows.exclude(came=F("on_hand") + F("sold") - F("restocked"))
    for variant_id, *numbers in apart.values_list("pk", "on_hand", "sold", "restocked", "came"):
        on_hand, sold, restocked, received = numbers
        yield _finding(
            variant_id, f"{on_hand} on hand + {sold} sold - {restocked} restocked, but {received} received and adjusted"
        )


def held_too_long(window: Window) -> Iterator[Finding]:
    """Lines that nobody let go of when their time was over."""
    before = datetime.now(UTC) - EXPIRY_GRACE
    rows = window.of(ReservationLine).filter(state=LineState.HELD, expires_at__lt=before)
    for order_id, variant_id, expired_at in rows.values_list("order_id", "variant_id", "expires_at"):
        ids = (public_id("ord", order_id), public_id("var", variant_id))
        yield Finding(ids=ids, detail=f"still held; expired at {expired_at:%Y-%m-%d %H:%M:%S} UTC")


def _total(model: Any, field: str, **which: Any) -> Coalesce:
    """Σ ``field`` over the rows of ``model`` that are of the variant at hand."""
    rows = model.objects.filter(variant_id=OuterRef("pk"), **which).order_by().values("variant_id")
    total = rows.annotate(total=Sum(field)).values("total")
    return Coalesce(Subquery(total, output_field=BigIntegerField()), 0)


def _finding(variant_id: int, detail: str) -> Finding:
    return Finding(ids=(public_id("var", variant_id),), detail=detail)
