"""Variants as they can be bought now. The provider, reservations and loads in `config` come in here."""

from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Final

from contexts.catalog.contract import Offer, Refusal, VariantNotFoundError
from contexts.catalog.domain import ProductStatus, offer_name, sku_key
from contexts.catalog.models import Variant
from contexts.catalog.models.statements import VARIANTS
from contexts.catalog.services.placing import CONTEXT, by_shard
from shop.contract import Money
from shop.sharding.statements import Row, parsed

SKUS_PER_READ: Final = 500


def offers(variant_ids: Sequence[int]) -> tuple[Offer, ...]:
    """Offers in the order asked.

    Database: one read on each shard.

    Raises:
        VariantNotFoundError: Some do not exist; each is named.
    """
    rows = [row for ids in by_shard(variant_ids) for row in VARIANTS.read(CONTEXT, ids[0], ids=ids)]
    return in_order(rows, variant_ids)


def in_order(rows: Iterable[Row], variant_ids: Sequence[int]) -> tuple[Offer, ...]:
    """Rows of `VARIANTS` as offers in the order of ``variant_ids``.

    Raises:
        VariantNotFoundError: Some have no row; each is named.
    """
    found = {row[0]: _offer(row) for row in rows}
    if unknown := [each for each in dict.fromkeys(variant_ids) if each not in found]:
        refusals = tuple(Refusal(variant_id=str(each)) for each in unknown)
        raise VariantNotFoundError(detail="some variants do not exist", lines=refusals)
    return tuple(found[each] for each in variant_ids)


def _offer(row: Row) -> Offer:
    variant_id, product_id, sku, options, amount, currency, available, name, status = row
    return Offer(
        variant_id=str(variant_id),
        product_id=str(product_id),
        sku=sku,
        name=offer_name(name, parsed(options)),
        price=Money(amount=amount, currency=currency),
        available=available or 0,
        for_sale=status == ProductStatus.ACTIVE,
    )


def variants_with_skus(skus: Iterable[str]) -> dict[str, int]:
    """Variants by the folded form of their SKU (`sku_key`); SKUs that nothing has are left out.

    Database: one read on every shard for each `SKUS_PER_READ`.
    """
    keys = sorted({sku_key(sku) for sku in skus})
    asked = (Variant.objects.filter(sku_key__in=part).only("sku_key") for part in batched(keys, SKUS_PER_READ))
    return {row.sku_key: row.pk for rows in asked for row in rows.across().rows()}
