"""What the shop knows of a file's SKUs, and the pieces it receives before they are sold."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from config.demo.replay.client import Client
from config.demo.replay.crew import Crew
from contexts.catalog.contract import CatalogService
from contexts.catalog.services.offering import variants_with_skus
from shop.services import acting_as, resolve

REASON: Final = "replay"


def articles_of(skus: Iterable[str]) -> dict[str, int]:
    """Variant by folded SKU; those that the catalog does not know are left out. Database: reads."""
    with acting_as("catalog"):
        return variants_with_skus(skus)


def receive(client: Client, crew: Crew, pieces: Mapping[int, int], progress: Callable[[int], None]) -> None:
    """Add ``pieces`` by variant to what is on hand, once per run and number.

    Args:
        client: Who asks.
        crew: Does it.
        pieces: By variant.
        progress: Called with the number of variants begun.
    """
    for done, (variant_id, number) in enumerate(sorted(pieces.items()), start=1):
        crew.give(str(variant_id), partial(_receive, client, variant_id, number))
        progress(done)


def _receive(client: Client, variant_id: int, number: int) -> None:
    command_id = f"replay/{client.run}/{variant_id}/{number}"
    client.patiently(
        "catalog",
        lambda: resolve(CatalogService).adjust_stock(
            variant_id=str(variant_id), delta=number, reason=REASON, command_id=command_id
        ),
    )
    client.tally.add("stock", "pieces", number)
