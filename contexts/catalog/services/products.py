"""Making products. `api` comes in here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.db import IntegrityError

from contexts.catalog.contract import ProductChanged
from contexts.catalog.domain import MovementReason, ProductCard, ProductStatus, name_key, search_words, sku_key
from contexts.catalog.models import Product, StockLevel, Variant
from contexts.catalog.services.categories import hold_open, require_open
from contexts.catalog.services.errors import CategoryNotFoundError, SkuTakenError
from contexts.catalog.services.listing import cards
from contexts.catalog.services.placing import CONTEXT
from contexts.catalog.services.stock import add_movements
from shop.contract import Fault, Money
from shop.events import publish
from shop.sharding import new_id, shard_atomic, unique
from shop.sharding.public_ids import public_id

SKU: Final = "sku"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantDraft:
    """A variant to be made, with the pieces that are there from the start."""

    sku: str
    price: Money
    options: Mapping[str, str] = field(default_factory=dict)
    stock: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDraft:
    """A product to be made."""

    name: str
    category_id: int
    variants: Sequence[VariantDraft]
    description: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    status: ProductStatus = ProductStatus.ACTIVE


def create_product(
    draft: ProductDraft, *, request_id: int | None = None, done: Callable[[ProductCard], None] | None = None
) -> ProductCard:
    """Make a product, its variants and their stock.

    Args:
        draft: What to make.
        request_id: A repetition under the same one finds the first one's product.
        done: Called with the product within its transaction, as the last thing.

    Database: the home is read, SKUs are reserved on their shards; one transaction on the category's shard.
    Emits: `ProductChanged`.

    Raises:
        CategoryNotFoundError: There is no such category.
        SkuTakenError: Other variants have some of the SKUs; each is named.
    """
    category = require_open(draft.category_id, field="category_id")
    if known := _made_before(category.pk, request_id):
        return known
    product_id = new_id(CONTEXT, near=category.pk)
    targets = {sku_key(each.sku): new_id(CONTEXT, near=product_id) for each in draft.variants}
    try:
        unique.reserve(CONTEXT, SKU, targets)
        with shard_atomic(CONTEXT, product_id):
            unique.mark_created(*targets.values())
            hold_open(category.pk, field="category_id")
            made = _insert(draft, product_id, targets, request_id)
            if done is not None:
                done(made)
    except (unique.ValueTaken, unique.CreationVoided, CategoryNotFoundError, IntegrityError) as error:
        # The first attempt under this request may have ended only now.
        unique.release(CONTEXT, SKU, targets)
        if known := _made_before(category.pk, request_id):
            return known
        if isinstance(error, unique.ValueTaken):
            raise _sku_taken(draft, error.values) from None
        raise
    unique.confirm(CONTEXT, SKU, targets)
    return made


def _made_before(category_id: int, request_id: int | None) -> ProductCard | None:
    if request_id is None:
        return None
    rows = Product.objects.on(category_id).filter(request_id=request_id)
    return next(iter(cards(list(rows.values_list("pk", flat=True)))), None)


def _insert(draft: ProductDraft, product_id: int, targets: Mapping[str, int], request_id: int | None) -> ProductCard:
    product = product_row(draft, product_id, request_id=request_id, event_seq=1)
    product.save(force_insert=True)
    variants = [variant_row(each, product_id, targets[sku_key(each.sku)]) for each in draft.variants]
    Variant.objects.bulk_create(variants)
    stock = {targets[sku_key(each.sku)]: each.stock for each in draft.variants}
    receive(stock, cause=f"product {public_id('prd', product_id)}")
    publish(ProductChanged(product_id=str(product_id)), seq=product.event_seq)
    [made] = cards([product_id])
    return made


def product_row(draft: ProductDraft, product_id: int, *, request_id: int | None = None, event_seq: int = 0) -> Product:
    """The product's row, unsaved."""
    now = datetime.now(UTC)
    return Product(
        id=product_id,
        category_id=draft.category_id,
        name=draft.name,
        name_key=name_key(draft.name),
        search_text=search_words(draft.name, draft.description, *(each.sku for each in draft.variants)),
        price_from=min(each.price.amount for each in draft.variants),
        description=draft.description,
        attributes=dict(draft.attributes),
        status=draft.status,
        event_seq=event_seq,
        request_id=request_id,
        created_at=now,
        updated_at=now,
    )


def variant_row(draft: VariantDraft, product_id: int, variant_id: int) -> Variant:
    """The variant's row, unsaved."""
    return Variant(
        id=variant_id,
        product_id=product_id,
        sku=draft.sku,
        sku_key=sku_key(draft.sku),
        options=dict(draft.options),
        price_amount=draft.price.amount,
        price_currency=draft.price.currency,
    )


def receive(stock: Mapping[int, int], *, cause: str) -> None:
    """Give new variants of one shard their levels: pieces by variant."""
    nothing_yet = {each: StockLevel(id=each) for each in stock}
    received = {each: pieces for each, pieces in stock.items() if pieces}
    add_movements(nothing_yet, received, reason=MovementReason.RECEIVED, cause=cause)
    StockLevel.objects.bulk_create(StockLevel(id=each, on_hand=pieces) for each, pieces in stock.items())


def _sku_taken(draft: ProductDraft, taken: Sequence[str]) -> SkuTakenError:
    faults = tuple(
        Fault(field=f"variants.{position}.sku", code="sku_taken", detail="another variant has it")
        for position, each in enumerate(draft.variants)
        if sku_key(each.sku) in taken
    )
    return SkuTakenError(detail="another variant has this SKU", faults=faults)
