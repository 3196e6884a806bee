"""What catalog answers when it is asked about a customer's data: it has none. `apps` provides it."""

from collections.abc import Mapping

from contexts.catalog.contract import CatalogPersonalData
from shop.contract import Json


class PersonalDataOfCatalog(CatalogPersonalData):
    """Implements `contexts.catalog.contract.CatalogPersonalData`."""

    def export(self, *, customer_id: str) -> Mapping[str, Json]:  # noqa: ARG002  the contract asks with it
        """Nothing."""
        return {}

    def erase(self, *, customer_id: str) -> None:
        """Nothing is here."""
