"""Variants as they can be bought now. The provider and reservations come in here."""

from collections.abc import Sequence

from contexts.catalog.contract import Offer, Refusal, VariantNotFoundError
from contexts.catalog.domain import ProductStatus, offer_name
from contexts.catalog.models import StockLevel, Variant
from contexts.catalog.services.placing import by_shard
from shop.contract import Money


def offers(variant_ids: Sequence[int]) -> tuple[Offer, ...]:
    """Offers in the order asked.

    Database: two reads on each shard.

    Raises:
        VariantNotFoundError: Some do not exist; each is named.
    """
    found: dict[int, Offer] = {}
    for ids in by_shard(variant_ids):
        free = {level.pk: level.available for level in StockLevel.objects.on(ids[0]).filter(pk__in=ids)}
        for variant in Variant.objects.on(ids[0]).filter(pk__in=ids).select_related("product"):
            found[variant.pk] = _offer(variant, free.get(variant.pk, 0))
    if unknown := [each for each in dict.fromkeys(variant_ids) if each not in found]:
        refusals = tuple(Refusal(variant_id=str(each)) for each in unknown)
        raise VariantNotFoundError(detail="some variants do not exist", lines=refusals)
    return tuple(found[each] for each in variant_ids)


def _offer(variant: Variant, available: int) -> Offer:
    product = variant.product
    return Offer(
        variant_id=str(variant.pk),
        product_id=str(product.pk),
        sku=variant.sku,
        name=offer_name(product.name, variant.options),
        price=Money(amount=variant.price_amount, currency=variant.price_currency),
        available=available,
        for_sale=product.status == ProductStatus.ACTIVE,
    )
