"""Things that catalog's tests are given, and what must be true of the books whatever happened."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

from django.db import connections
from django.db.models import Sum

from contexts.catalog.contract import CatalogService, StockRequest
from contexts.catalog.domain import CategoryCard, LineState, ProductStatus
from contexts.catalog.models import Product, ReservationLine, StockLevel, StockMovement
from contexts.catalog.services.categories import create_category
from contexts.catalog.services.products import ProductDraft, VariantDraft, create_product
from shop.contract import Money
from shop.services import acting_as, resolve
from shop.sharding import alias_of, aliases_of, new_id, shard_atomic

CONTEXT = "catalog"
_numbers = count(1)


def soon(seconds: float = 600) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def new_order() -> int:
    """An order's ID is another context's: all that catalog knows of it is the number."""
    return new_id(CONTEXT)


def category_on(shard: int) -> CategoryCard:
    """A category whose products go to the context's shard number ``shard``, counted in a circle."""
    aliases = aliases_of(CONTEXT)
    wanted = aliases[shard % len(aliases)]
    while True:
        found = create_category(name=f"Shelf {next(_numbers)}")
        if alias_of(CONTEXT, found.id) == wanted:
            return found


def variant_on(shard: int, *, stock: int = 10, status: ProductStatus = ProductStatus.ACTIVE, price: int = 1299) -> int:
    """The only variant of a new product."""
    draft = ProductDraft(
        name=f"Mug {next(_numbers)}",
        category_id=category_on(shard).id,
        variants=[VariantDraft(sku=f"MUG-{next(_numbers)}", price=Money(amount=price, currency="GBP"), stock=stock)],
        status=status,
    )
    return create_product(draft).variants[0].id


def reserve(order_id: int, wanted: dict[int, int], *, seconds: float = 600) -> list[int]:
    """Reserve through the service; returns the variants of the offers."""
    lines = [StockRequest(variant_id=str(each), quantity=quantity) for each, quantity in wanted.items()]
    with acting_as("ordering"):
        offers = resolve(CatalogService).reserve(order_id=str(order_id), lines=lines, expires_at=soon(seconds))
    return [int(offer.variant_id) for offer in offers]


def commit(order_id: int, *variant_ids: int) -> None:
    with acting_as("ordering"):
        resolve(CatalogService).commit(order_id=str(order_id), variant_ids=[str(each) for each in variant_ids])


def cancel(order_id: int, *variant_ids: int) -> None:
    with acting_as("ordering"):
        resolve(CatalogService).cancel(order_id=str(order_id), variant_ids=[str(each) for each in variant_ids])


def stock(variant_id: int) -> tuple[int, int]:
    """On hand, reserved."""
    level = StockLevel.objects.get(pk=variant_id)
    return level.on_hand, level.reserved


def state(order_id: int, variant_id: int) -> str | None:
    line = ReservationLine.objects.filter(variant_id=variant_id, order_id=order_id).first()
    return None if line is None else line.state


def movements(variant_id: int) -> list[tuple[str, int, int]]:
    """Reason, delta and pieces on hand after it; oldest first."""
    rows = StockMovement.objects.filter(variant_id=variant_id).order_by("pk")
    return list(rows.values_list("reason", "delta", "on_hand"))


def assert_the_books_balance() -> None:
    """On hand is the sum of movements, reserved the sum of held lines: for every variant on every shard."""
    for alias in aliases_of(CONTEXT):
        levels = {level.pk: level for level in StockLevel.objects.using(alias)}
        moved = StockMovement.objects.using(alias).values_list("variant_id").annotate(Sum("delta"))
        held = ReservationLine.objects.using(alias).filter(state=LineState.HELD)
        sums = held.values_list("variant_id").annotate(Sum("quantity"))
        assert {each: level.on_hand for each, level in levels.items() if level.on_hand} == {
            each: total for each, total in moved if total
        }
        assert {each: level.reserved for each, level in levels.items() if level.reserved} == dict(sums)


def archive(variant_id: int) -> None:
    """Take the variant's product out of the shop, as the operation of a later day will."""
    with shard_atomic(CONTEXT, variant_id):
        Product.objects.filter(variants__pk=variant_id).update(status=ProductStatus.ARCHIVED)


def at_once[T](times: int, work: Callable[[int], T], *, threads: int = 16) -> list[T]:
    """``work(0)`` … ``work(times - 1)`` on many threads; what they raise comes out here."""

    def one(number: int) -> T:
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(times)))
