"""Products that exist: changed, moved to another category, archived. `api` and the use cases of variants come in here.

Whoever changes something of a product holds its row's lock, so versions and events have one order.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from contexts.catalog.contract import ProductArchived, ProductChanged
from contexts.catalog.domain import ProductCard, ProductStatus, name_key, search_words
from contexts.catalog.models import Product, Variant
from contexts.catalog.services.categories import admit_bucket, hold_open
from contexts.catalog.services.errors import ProductNotFoundError, VersionMismatchError
from contexts.catalog.services.listing import cards
from contexts.catalog.services.placing import CONTEXT
from shop.events import publish
from shop.sharding import bucket_of, shard_atomic


def change_product(
    product_id: int, changes: Mapping[str, Any], *, versions: Collection[int] | None = None
) -> ProductCard:
    """Set the fields of ``changes``; what is the same already makes no new version.

    Args:
        product_id: Which product.
        changes: Values of ``name``, ``description``, ``attributes``, ``status``, ``category_id``.
        versions: The versions that the caller will change; None for any.

    Database: with another category, first the home, where the bucket joins that category's set; then one
    transaction on the product's shard.
    Emits: `ProductChanged`.

    Raises:
        ProductNotFoundError: There is none.
        CategoryNotFoundError: There is no such category.
        VersionMismatchError: It has another version.
    """
    if not Product.objects.filter(pk=product_id).exists():
        raise ProductNotFoundError(detail="there is no such product")
    category_id = changes.get("category_id")
    if category_id is not None:
        admit_bucket(category_id, bucket_of(product_id), field="category_id")
    with shard_atomic(CONTEXT, product_id):
        if category_id is not None:
            hold_open(category_id, field="category_id")
        product = locked_product(product_id, versions=versions)
        different = {name: value for name, value in changes.items() if getattr(product, name) != value}
        for name, value in different.items():
            setattr(product, name, value)
        return renewed(product) if different else cards([product_id])[0]


def archive_product(product_id: int, *, versions: Collection[int] | None = None) -> None:
    """Take the product out of the lists and out of sale, for good or until its status is set again. Safe to repeat.

    Emits: `ProductArchived`.

    Raises:
        ProductNotFoundError: There is none.
        VersionMismatchError: It has another version than one of ``versions``.
    """
    with shard_atomic(CONTEXT, product_id):
        product = locked_product(product_id, versions=versions)
        if product.status != ProductStatus.ARCHIVED:
            product.status = ProductStatus.ARCHIVED
            _next_version(product)
            product.save()
            publish(ProductArchived(product_id=str(product_id)), seq=product.event_seq)


def locked_product(product_id: int, *, versions: Collection[int] | None = None) -> Product:
    """The product's row, locked until the transaction ends.

    Raises:
        ProductNotFoundError: There is none.
        VersionMismatchError: It has another version than one of ``versions``.
    """
    product: Product | None = Product.objects.filter(pk=product_id).select_for_update().first()
    if product is None:
        raise ProductNotFoundError(detail="there is no such product")
    if versions is not None and product.version not in versions:
        raise VersionMismatchError(detail=f"the product's version is {product.version} by now")
    return product


def renewed(product: Product) -> ProductCard:
    """Store a locked product whose fields or variants have changed, as its next version, and tell it.

    Emits: `ProductChanged`.
    """
    variants = list(Variant.objects.filter(product_id=product.pk))
    product.name_key = name_key(product.name)
    product.search_text = search_words(product.name, product.description, *(each.sku for each in variants))
    product.price_from = min(each.price_amount for each in variants)
    _next_version(product)
    product.save()
    publish(ProductChanged(product_id=str(product.pk)), seq=product.event_seq)
    return cards([product.pk])[0]


def _next_version(product: Product) -> None:
    product.version += 1
    product.event_seq += 1
    product.updated_at = datetime.now(UTC)
