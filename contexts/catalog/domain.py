"""Rules of the catalog that need no framework: states, folded words, products as a reader sees them. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

MAX_SLUG: Final = 100
MAX_NAME_KEY: Final = 600
MAX_WORD: Final = 100
WORD: Final = re.compile(r"[^\W_]+")
SLUG: Final = r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z"


class ProductStatus(StrEnum):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Sort(StrEnum):
    """Orders of a list of products; its price is that of its cheapest variant."""

    NEWEST = "newest"
    CHEAPEST = "price"
    DEAREST = "-price"
    NAME = "name"


class LineState(StrEnum):
    """What became of pieces that an order asked for.

    ``held → committed | expired | cancelled`` · ``expired → held | committed | cancelled`` ·
    ``committed → returned``. Expiry is not final, cancellation and return are.
    """

    HELD = "held"
    COMMITTED = "committed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RETURNED = "returned"


FINAL: Final = frozenset({LineState.CANCELLED, LineState.RETURNED})


class MovementReason(StrEnum):
    RECEIVED = "received"
    SOLD = "sold"
    RETURNED = "returned"
    ADJUSTED = "adjusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryCard:
    """A category as readers see it."""

    id: int
    name: str
    slug: str
    parent_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantCard:
    """A variant as readers see it, with what is free of it now."""

    id: int
    product_id: int
    sku: str
    options: Mapping[str, str]
    price_amount: int
    price_currency: str
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCard:
    """A product as readers see it. ``version`` is its own and says nothing about stock."""

    id: int
    name: str
    description: str
    category_id: int
    status: ProductStatus
    attributes: Mapping[str, Any]
    image_url: str
    version: int
    variants: tuple[VariantCard, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementCard:
    """An entry of a variant's ledger as staff see it: ``on_hand`` is what was there after it."""

    id: int
    type: MovementReason
    delta: int
    reason: str
    on_hand: int
    at: datetime


def fold(text: str) -> str:
    """``text`` as it is compared and sorted: case, accents and runs of blanks do not count."""
    apart = unicodedata.normalize("NFKD", text)  # first: it makes capitals of its own, of № and ™
    apart = unicodedata.normalize("NFKD", apart.casefold())
    return " ".join("".join(c for c in apart if not unicodedata.combining(c)).split())


def words(text: str) -> list[str]:
    """The folded words of a text: runs of letters and digits, each once, in order of appearance."""
    return list(dict.fromkeys(word[:MAX_WORD] for word in WORD.findall(fold(text))))


def search_words(*texts: str) -> str:
    """What the search index holds of a product: the words of all ``texts``, with single blanks between them."""
    return " ".join(words(" ".join(texts)))


def name_key(name: str) -> str:
    """What products are sorted by, by name. Folding may lengthen a text; the tail decides nothing."""
    return fold(name)[:MAX_NAME_KEY]


def sku_key(sku: str) -> str:
    """What must be unique of a SKU: two that differ in case are one."""
    return sku.strip().casefold()


def slug_of(name: str) -> str:
    """A category's name as part of an address; empty when it has no Latin letter or digit."""
    return re.sub(r"[^a-z0-9]+", "-", fold(name))[:MAX_SLUG].strip("-")


def offer_name(product_name: str, options: Mapping[str, str]) -> str:
    """What an order line says: the product, with the variant's options where it has some."""
    return f"{product_name} ({', '.join(options.values())})" if options else product_name
