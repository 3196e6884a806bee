"""Variants of products that exist: read, added, changed. `api` comes in here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from django.db import IntegrityError

from contexts.catalog.domain import ProductStatus, VariantCard, sku_key
from contexts.catalog.models import Product, Variant
from contexts.catalog.models.statements import VARIANTS
from contexts.catalog.services.changing import locked_product, renewed
from contexts.catalog.services.errors import ProductNotFoundError, SkuTakenError, TooManyVariantsError
from contexts.catalog.services.listing import variant_card
from contexts.catalog.services.placing import CONTEXT, by_shard
from contexts.catalog.services.products import SKU, VariantDraft, receive, variant_row
from shop.contract import Fault, Money, NotFoundError
from shop.sharding import new_id, shard_atomic, unique
from shop.sharding.public_ids import public_id

MOST: Final = 100


def variants_of_ids(variant_ids: Sequence[int], *, drafts: bool) -> list[VariantCard]:
    """Those of the variants that exist, in the order asked; of draft products only where ``drafts`` are for the reader.

    Database: one read on each shard.
    """
    rows = [row for ids in by_shard(variant_ids) for row in VARIANTS.read(CONTEXT, ids[0], ids=ids)]
    found = {row[0]: variant_card(row) for row in rows if drafts or row[-1] != ProductStatus.DRAFT}
    return [found[each] for each in dict.fromkeys(variant_ids) if each in found]


def _card(variant_id: int) -> VariantCard:
    [card] = variants_of_ids([variant_id], drafts=True)
    return card


def add_variant(
    product_id: int,
    draft: VariantDraft,
    *,
    request_id: int | None = None,
    done: Callable[[VariantCard], None] | None = None,
) -> VariantCard:
    """Make another variant of a product.

    Args:
        product_id: Whose.
        draft: What to make.
        request_id: A repetition under the same one finds the first one's variant.
        done: Called with the variant within its transaction, as the last thing.

    Database: the SKU is reserved on its shard; one transaction on the product's.
    Emits: `ProductChanged`.

    Raises:
        ProductNotFoundError: There is no such product.
        SkuTakenError: Another variant has the SKU.
        TooManyVariantsError: The product has as many as a product can have.
    """
    if known := _made_before(product_id, request_id):
        return known
    if not Product.objects.filter(pk=product_id).exists():
        raise ProductNotFoundError(detail="there is no such product")
    variant_id = new_id(CONTEXT, near=product_id)
    target = {sku_key(draft.sku): variant_id}
    try:
        unique.reserve(CONTEXT, SKU, target)
        with shard_atomic(CONTEXT, product_id):
            unique.mark_created(variant_id)
            made = _insert(draft, product_id, variant_id, request_id)
            if done is not None:
                done(made)
    except (unique.ValueTaken, unique.CreationVoided, TooManyVariantsError, IntegrityError) as error:
        unique.release(CONTEXT, SKU, target)
        if known := _made_before(product_id, request_id):  # the first attempt may have ended only now
            return known
        if isinstance(error, unique.ValueTaken):
            fault = Fault(field="sku", code="sku_taken", detail="another variant has it")
            raise SkuTakenError(detail="another variant has this SKU", faults=(fault,)) from None
        raise
    unique.confirm(CONTEXT, SKU, target)
    return made


def _made_before(product_id: int, request_id: int | None) -> VariantCard | None:
    if request_id is None:
        return None
    row = Variant.objects.on(product_id).filter(request_id=request_id).first()
    return None if row is None else _card(row.pk)


def _insert(draft: VariantDraft, product_id: int, variant_id: int, request_id: int | None) -> VariantCard:
    product = locked_product(product_id)
    if Variant.objects.filter(product_id=product_id).count() >= MOST:
        raise TooManyVariantsError(detail=f"a product has {MOST} variants at most")
    row = variant_row(draft, product_id, variant_id)
    row.request_id = request_id
    row.save(force_insert=True)
    receive({variant_id: draft.stock}, cause=f"product {public_id('prd', product_id)}")
    renewed(product)
    return _card(variant_id)


def change_variant(
    variant_id: int, *, price: Money | None = None, options: Mapping[str, str] | None = None
) -> VariantCard:
    """Set a variant's price or options: a new version of its product.

    Emits: `ProductChanged`.

    Raises:
        NotFoundError: There is none.
    """
    with shard_atomic(CONTEXT, variant_id):
        seen = Variant.objects.filter(pk=variant_id).first()
        if seen is None:
            raise NotFoundError(detail="there is no such variant")
        product = locked_product(seen.product_id)
        row = Variant.objects.get(pk=variant_id)
        before = (row.price_amount, row.price_currency, row.options)
        if price is not None:
            row.price_amount, row.price_currency = price.amount, price.currency
        if options is not None:
            row.options = dict(options)
        if (row.price_amount, row.price_currency, row.options) != before:
            row.save()
            renewed(product)
        return _card(variant_id)
