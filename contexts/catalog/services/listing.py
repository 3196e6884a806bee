"""Products as readers see them: one, and pages of them. `api` comes in here; nothing is written.

Database: a page takes one read at each shard that may have some, two more where it found some, two at home.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from contexts.catalog.domain import ProductCard, ProductStatus, VariantCard
from contexts.catalog.models import Product, StockLevel, Variant
from contexts.catalog.services.categories import buckets_of, with_descendants
from contexts.catalog.services.errors import ProductNotFoundError
from contexts.catalog.services.placing import by_shard
from shop.sharding.scatter import Page

NEWEST: Final = ("-created_at", "-id")


def product(product_id: int, *, drafts: bool) -> ProductCard:
    """One product, archived ones too.

    Raises:
        ProductNotFoundError: There is none, or it is a draft and ``drafts`` are not for this reader.
    """
    found = cards(Product.objects.filter(pk=product_id))
    if not found or (found[0].status == ProductStatus.DRAFT and not drafts):
        raise ProductNotFoundError(detail="there is no such product")
    return found[0]


def list_products(*, category_id: int | None, limit: int, after: Sequence[Any] | None) -> Page[ProductCard]:
    """Active products newest first; with ``category_id`` those of it and of everything below it."""
    rows, buckets = Product.objects.filter(status=ProductStatus.ACTIVE), None
    if category_id is not None:
        categories = with_descendants(category_id)
        rows, buckets = rows.filter(category_id__in=categories), buckets_of(categories)
    page = rows.across(buckets).page(order=NEWEST, limit=limit, after=after)
    return Page(rows=cards(page.rows), more=page.more)


def cards(products: Iterable[Product]) -> list[ProductCard]:
    """Products with their variants and what is available of them, in the order given."""
    rows = list(products)
    variants: dict[int, list[VariantCard]] = {row.pk: [] for row in rows}
    for ids in by_shard(variants):
        found = list(Variant.objects.on(ids[0]).filter(product_id__in=ids).order_by("pk"))
        levels = StockLevel.objects.on(ids[0]).filter(pk__in=[variant.pk for variant in found])
        free = {level.pk: level.available for level in levels}
        for variant in found:
            variants[variant.product_id].append(_variant_card(variant, free.get(variant.pk, 0)))
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


def _variant_card(row: Variant, available: int) -> VariantCard:
    return VariantCard(
        id=row.pk,
        product_id=row.product_id,
        sku=row.sku,
        options=row.options,
        price_amount=row.price_amount,
        price_currency=row.price_currency,
        available=available,
    )
