"""Variants as they can be bought now. The provider and reservations come in here."""

from collections.abc import Iterable, Sequence

from contexts.catalog.contract import Offer, Refusal, VariantNotFoundError
from contexts.catalog.domain import ProductStatus, offer_name
from contexts.catalog.models.statements import VARIANTS
from contexts.catalog.services.placing import CONTEXT, by_shard
from shop.contract import Money
from shop.sharding.statements import Row, parsed


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
