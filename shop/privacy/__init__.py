"""A customer's data: told on request, erased for good, by every context's `PersonalData`. Contexts come in here."""

from shop.privacy.erasing import erase_customer
from shop.privacy.exporting import export_customer
from shop.privacy.words import ERASED

__all__ = ["ERASED", "erase_customer", "export_customer"]
