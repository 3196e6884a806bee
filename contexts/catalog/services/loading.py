"""Many products at once, into a shop that is being set up. Loads in `config` come in here.

A load differs from `create_product` in this: it leaves out products whose SKU is known, takes one transaction per
shard and call, and tells no events: whoever keeps a picture of the products draws it from the whole catalog first.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from contexts.catalog.domain import sku_key
from contexts.catalog.models import Product, Variant
from contexts.catalog.services.placing import CONTEXT, by_shard
from contexts.catalog.services.products import SKU, ProductDraft, product_row, receive, variant_row
from shop.sharding import new_id, shard_atomic, unique

TRIES: Final = 5
PATIENCE_SECONDS: Final = 0.5


def missing(drafts: Sequence[ProductDraft]) -> list[ProductDraft]:
    """Those of which no variant exists yet. Database: one read per shard."""
    keys = [sku_key(each.sku) for draft in drafts for each in draft.variants]
    rows = Variant.objects.filter(sku_key__in=keys).only("sku_key")
    known = {row.sku_key for row in rows.across().rows()}
    return [draft for draft in drafts if known.isdisjoint(sku_key(each.sku) for each in draft.variants)]


def load_products(drafts: Sequence[ProductDraft], *, cause: str) -> int:
    """Make those of ``drafts`` that are missing; returns how many.

    Safe to repeat, after a crash at any point and beside another load: what that one reserved and did not
    make is given up first.

    Raises:
        ValueTaken: A SKU belongs to another kind of variant than these.
    """
    made = 0
    for one_try in range(TRIES):
        waiting = missing(drafts)
        if not waiting:
            break
        try:
            for more in _load(waiting, cause):
                made += more
        except (unique.ValueTaken, unique.CreationVoided):
            if one_try == TRIES - 1:
                raise
            time.sleep(PATIENCE_SECONDS)  # another load may be about to finish
            unique.settle(CONTEXT, SKU, [sku_key(each.sku) for draft in waiting for each in draft.variants])
    return made


def _load(drafts: Sequence[ProductDraft], cause: str) -> Iterator[int]:
    """Make them all, shard by shard; how many there are on each comes out once its transaction is over."""
    by_id = {new_id(CONTEXT, near=draft.category_id): draft for draft in drafts}
    targets = {
        sku_key(each.sku): new_id(CONTEXT, near=product_id)
        for product_id, draft in by_id.items()
        for each in draft.variants
    }
    unique.reserve_many(CONTEXT, SKU, targets)
    for ids in by_shard(by_id):
        with shard_atomic(CONTEXT, *ids):
            _insert({each: by_id[each] for each in ids}, targets, cause)
        yield len(ids)
    unique.confirm(CONTEXT, SKU, targets)


def _insert(drafts: dict[int, ProductDraft], targets: dict[str, int], cause: str) -> None:
    stock = {targets[sku_key(each.sku)]: each.stock for draft in drafts.values() for each in draft.variants}
    unique.mark_created(*stock)
    Product.objects.bulk_create(product_row(draft, each) for each, draft in drafts.items())
    Variant.objects.bulk_create(
        variant_row(each, product_id, targets[sku_key(each.sku)])
        for product_id, draft in drafts.items()
        for each in draft.variants
    )
    receive(stock, cause=cause)
