"""Products as readers see them: one, and pages of them. `api` comes in here; nothing is written.

Database: a page takes one read at each shard that may have some, one more where it found some, two at home.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, F, OuterRef

from contexts.catalog.domain import ProductCard, ProductStatus, Sort, VariantCard
from contexts.catalog.models import HasWords, Product, StockLevel, Variant
from contexts.catalog.models.statements import PRODUCTS
from contexts.catalog.services.categories import buckets_of, with_descendants
from contexts.catalog.services.errors import ProductNotFoundError
from contexts.catalog.services.placing import CONTEXT, by_shard
from shop.sharding.statements import Row, moment, parsed

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
    found = cards([product_id])
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
    fields = [name.removeprefix("-") for name in order]
    page = rows.only(*fields).across(buckets).page(order=order, limit=limit, after=after)
    last = [getattr(page.rows[-1], name) for name in fields] if page.more else None
    return Shelf(products=cards([row.pk for row in page.rows]), last=last)


def _prices(wanted: Wanted) -> dict[str, int]:
    bounds = {"price_from__gte": wanted.min_price, "price_from__lte": wanted.max_price}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def cards(product_ids: Sequence[int]) -> list[ProductCard]:
    """Those of the products that exist, whole, in the order asked. Database: one read on each shard."""
    rows = [row for ids in by_shard(product_ids) for row in PRODUCTS.read(CONTEXT, ids[0], ids=ids)]
    found = {row[0]: _card(row) for row in rows}
    return [found[each] for each in product_ids if each in found]


def _card(row: Row) -> ProductCard:
    number, name, description, category_id, status, attributes, image_url, version, created_at, updated_at, variants = (
        row
    )
    return ProductCard(
        id=number,
        name=name,
        description=description,
        category_id=category_id,
        status=ProductStatus(status),
        attributes=parsed(attributes),
        image_url=image_url,
        version=version,
        variants=tuple(variant_card(each) for each in sorted(parsed(variants))),
        created_at=moment(created_at),
        updated_at=moment(updated_at),
    )


def variant_card(row: Row) -> VariantCard:
    """The first columns of `VARIANTS`, which the variants of `PRODUCTS` have too."""
    number, product_id, sku, options, amount, currency, available, *_ = row
    return VariantCard(
        id=number,
        product_id=product_id,
        sku=sku,
        options=parsed(options),
        price_amount=amount,
        price_currency=currency,
        available=available or 0,
    )
