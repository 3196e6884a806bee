"""Loads the demo shop: 14 categories and 3,791 real products with stock. Commands come in here; see README.md."""

import csv
import zlib
from collections.abc import Callable, Sequence
from itertools import batched
from pathlib import Path
from typing import Final

from contexts.catalog.domain import slug_of
from contexts.catalog.services.categories import category_with_slug, create_category
from contexts.catalog.services.errors import SlugTakenError
from contexts.catalog.services.loading import load_products
from contexts.catalog.services.products import ProductDraft, VariantDraft
from shop.contract import Money

PRODUCTS: Final = Path(__file__).with_name("products.csv")
BATCH: Final = 500
LEAST_STOCK: Final = 200
STOCK_SPREAD: Final = 301

type Row = dict[str, str]


def load_demo(progress: Callable[[int, int], None]) -> int:
    """Load what is missing of the demo shop; returns how many products that were.

    Safe to repeat, after a crash at any point and beside another load; when nothing is missing, nothing is written.

    Args:
        progress: Called after each batch with the products that are there and all there will be.
    """
    return load_rows(read_rows(), progress)


def read_rows() -> list[Row]:
    """The products' rows in the file's order."""
    with PRODUCTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load_rows(rows: Sequence[Row], progress: Callable[[int, int], None]) -> int:
    """Load the products of ``rows``, their categories first."""
    categories = {name: _category(name) for name in sorted({row["category"] for row in rows})}
    made = done = 0
    for batch in batched(rows, BATCH):
        made += load_products([_draft(row, categories[row["category"]]) for row in batch], cause="demo shop")
        done += len(batch)
        progress(done, len(rows))
    return made


def _category(name: str) -> int:
    slug = slug_of(name)
    found = category_with_slug(slug)
    if found is None:
        try:
            found = create_category(name=name, slug=slug)
        except SlugTakenError:  # another load was faster
            return _category(name)
    return found.id


def _draft(row: Row, category_id: int) -> ProductDraft:
    price = Money(amount=int(row["price_cents"]), currency=row["currency"])
    variant = VariantDraft(sku=row["sku"], price=price, stock=stock_of(row["sku"]))
    return ProductDraft(name=row["name"], category_id=category_id, variants=[variant])


def stock_of(sku: str) -> int:
    """Pieces invented for a SKU: the same at every load."""
    return LEAST_STOCK + zlib.crc32(sku.encode()) % STOCK_SPREAD
