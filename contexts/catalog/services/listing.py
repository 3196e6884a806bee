"""Products as readers see them: one, and pages of them. `api` comes in here; nothing is written.

Database: a page takes one read at each shard that may have some, two more where it found some, two at home.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, F, OuterRef

from contexts.catalog.domain import ProductCard, ProductStatus, Sort, VariantCard
from contexts.catalog.models import HasWords, Product, StockLevel, Variant
from contexts.catalog.services.categories import buckets_of, with_descendants
from contexts.catalog.services.errors import ProductNotFoundError
from contexts.catalog.services.placing import by_shard

ORDERS: Final = {
    Sort.NEWEST: ("-created_at", "-id"),
    Sort.CHEAPEST: ("price_from", "id"),
    Sort.DEAREST: ("-price_from", "-id"),
    Sort.NAME: ("name_key", "id"),
}
_PIECES: Final = StockLevel.objects.filter(pk=OuterRef("pk"), on_hand__gt=F("reserved"))
_VARIANTS_IN_STOCK: Final = Variant.objects.filter(Exists(_PIECES), product_id=OuterRef("pk"))


def product(product_id: int, *, drafts: bool) -> ProductCard:
    """One product, archived ones too.

    Raises:
        ProductNotFoundError: There is none, or it is a draft and ``drafts`` are not for this reader.
    """
    found = cards(Product.objects.filter(pk=product_id))
    if not found or (found[0].status == ProductStatus.DRAFT and not drafts):
        raise ProductNotFoundError(detail="there is no such product")
    return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which products a list shall have; ``prefixes`` are folded, ``in_stock`` None takes them with and without."""

    category_id: int | None = None
    prefixes: Sequence[str] = ()
    min_price: int | None = None
    max_price: int | None = None
    in_stock: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A page of products; ``last`` is where it ended, None where nothing follows."""

    products: Sequence[ProductCard]
    last: Sequence[Any] | None


def list_products(wanted: Wanted, *, sort: Sort = Sort.NEWEST, limit: int, after: Sequence[Any] | None = None) -> Shelf:
    """Active products as wanted; a category stands for everything below it, too."""
    rows, buckets = Product.objects.filter(status=ProductStatus.ACTIVE, **_prices(wanted)), None
    if wanted.category_id is not None:
        categories = with_descendants(wanted.category_id)
        rows, buckets = rows.filter(category_id__in=categories), buckets_of(categories)
    if wanted.prefixes:
        rows = rows.filter(HasWords(wanted.prefixes))
    if wanted.in_stock is not None:
        stocked = Exists(_VARIANTS_IN_STOCK)
        rows = rows.filter(stocked if wanted.in_stock else ~stocked)
    order = ORDERS[sort]
    page = rows.across(buckets).page(order=order, limit=limit, after=after)
    last = [getattr(page.rows[-1], name.removeprefix("-")) for name in order] if page.more else None
    return Shelf(products=cards(page.rows), last=last)


def _prices(wanted: Wanted) -> dict[str, int]:
    bounds = {"price_from__gte": wanted.min_price, "price_from__lte": wanted.max_price}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def cards(products: Iterable[Product]) -> list[ProductCard]:
    """Products with their variants and what is available of them, in the order given."""
    rows = list(products)
    variants: dict[int, list[VariantCard]] = {row.pk: [] for row in rows}
    for ids in by_shard(variants):
        found = list(Variant.objects.on(ids[0]).filter(product_id__in=ids).order_by("pk"))
        levels = StockLevel.objects.on(ids[0]).filter(pk__in=[variant.pk for variant in found])
        free = {level.pk: level.available for level in levels}
        for variant in found:
            variants[variant.product_id].append(variant_card(variant, free.get(variant.pk, 0)))
    return [_card(row, variants[row.pk]) for row in rows]


def _card(row: Product, variants: Iterable[VariantCard]) -> ProductCard:
    return ProductCard(
        id=row.pk,
        name=row.name,
        description=row.description,
        category_id=row.category_id,
        status=ProductStatus(row.status),
        attributes=row.attributes,
        image_url=row.image_url,
        version=row.version,
        variants=tuple(variants),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def variant_card(row: Variant, available: int) -> VariantCard:
    return VariantCard(
        id=row.pk,
        product_id=row.product_id,
        sku=row.sku,
        options=row.options,
        price_amount=row.price_amount,
        price_currency=row.price_currency,
        available=available,
    )
