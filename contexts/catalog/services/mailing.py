"""Mails to staff, where an address is set for them."""

from datetime import timedelta
from typing import Final

from django.conf import settings

from contexts.catalog.contract import StockDepleted
from contexts.catalog.models import Variant
from shop.mail import Letter, render, store_mail
from shop.sharding.public_ids import public_id

WORTH_KNOWING: Final = timedelta(days=1)


def mail_depleted(event: StockDepleted) -> None:
    """Have staff told what is sold out. Database: the variant's shard, in the open transaction."""
    if _staff():
        store_mail("stock_depleted", about=int(event.variant_id), lives=WORTH_KNOWING)


def write_to_staff(variant_id: int) -> Letter | None:
    """A letter about a variant; None where nobody is to be told any more. Database: one read on the variant's shard."""
    variant = Variant.objects.filter(pk=variant_id).select_related("product").first()
    if variant is None or not _staff():
        return None
    shown = {"name": variant.product.name, "sku": variant.sku, "variant_id": public_id("var", variant_id)}
    return render("catalog/mails/stock_depleted", to=_staff(), **shown)


def _staff() -> str:
    return str(settings.CONTEXT_SETTINGS["STOCK_EMAIL"])
