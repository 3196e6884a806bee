"""Telling customers what is stored about them. The context that keeps the accounts comes in here."""

from shop.contract import Json, PersonalData
from shop.services import each


def export_customer(customer_id: int) -> dict[str, Json]:
    """What each context of the shop stores about a customer, by the context's name: all of them, or nothing.

    Raises:
        UnavailableError: One of them is not here, or does not answer.
    """
    return {context: data.export(customer_id=str(customer_id)) for context, data in each(PersonalData).items()}
