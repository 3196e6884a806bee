"""What addresses and headers may ask: filters and sorts of lists, IDs of variants, If-Match. The views come in here."""

import re
from collections.abc import Mapping
from typing import Final, NoReturn

from rest_framework.request import Request

from contexts.catalog.domain import Sort, words
from contexts.catalog.services.listing import Wanted
from shop.contract import Fault, InvalidError
from shop.http.drf import MAX_PRICE
from shop.http.ids import from_request, id_schema
from shop.http.paging import PAGE
from shop.http.parameters import Parameter

MAX_Q: Final = 200
MOST_IDS: Final = 100
TRUTH: Final = {"true": True, "false": False}
FILTERS: Final = ("category", "q", "min_price", "max_price", "in_stock", "sort")
VERSION: Final = re.compile(r'"([0-9]{1,9})"')

PRICE: Final = {"type": "integer", "minimum": 0, "maximum": MAX_PRICE}
CATEGORIES: Final = (
    Parameter(name="parent", schema=id_schema("cat"), description="Only those right below this category."),
    *PAGE,
)
PRODUCTS: Final = (
    Parameter(
        name="category",
        schema=id_schema("cat"),
        description="Of this category or one below it; none where there is no such category.",
    ),
    Parameter(
        name="q",
        schema={"type": "string", "maxLength": MAX_Q},
        description="Every word must begin a word of name, SKU or description.",
    ),
    Parameter(name="min_price", schema=PRICE, description="Of the cheapest variant, in minor units."),
    Parameter(name="max_price", schema=PRICE, description="Of the cheapest variant, in minor units."),
    Parameter(name="in_stock", schema={"type": "boolean"}, description="Whether any variant has free pieces."),
    Parameter(
        name="sort",
        schema={"type": "string", "enum": [each.value for each in Sort], "default": Sort.NEWEST.value},
        description="`price` is that of the cheapest variant, `-price` begins with the dearest.",
    ),
    *PAGE,
)
IDS: Final = (
    Parameter(
        name="ids",
        schema={"type": "array", "items": id_schema("var"), "minItems": 1, "maxItems": MOST_IDS},
        description="IDs of variants, separated by commas.",
        required=True,
    ),
)

type Query = Mapping[str, str]


def wanted(query: Query) -> Wanted:
    """The filters of a list of products.

    Raises:
        InvalidError: One can't be understood.
    """
    category, q = query.get("category"), query.get("q", "")
    if len(q) > MAX_Q:
        _refuse("q", "out_of_range", f"at most {MAX_Q} characters")
    stocked = query.get("in_stock")
    if stocked is not None and stocked not in TRUTH:
        _refuse("in_stock", "invalid_choice", "must be true or false")
    return Wanted(
        category_id=None if category is None else from_request("cat", category, "category"),
        prefixes=words(q),
        min_price=_price("min_price", query),
        max_price=_price("max_price", query),
        in_stock=None if stocked is None else TRUTH[stocked],
    )


def sort_of(query: Query) -> Sort:
    """`?sort=`.

    Raises:
        InvalidError: There is no such order.
    """
    given = query.get("sort", Sort.NEWEST.value)
    if given not in list(Sort):
        _refuse("sort", "invalid_choice", f"must be one of {', '.join(Sort)}")
    return Sort(given)


def list_name(query: Query) -> str:
    """Which list of products this is, in which order: a cursor belongs to it."""
    return f"products:{[query.get(name) for name in FILTERS]}"


def variant_ids(query: Query) -> list[int]:
    """`?ids=`, separated by commas.

    Raises:
        InvalidError: They are none, too many, or no IDs of variants.
    """
    given = query.get("ids", "")
    texts = given.split(",") if given else []
    if not 1 <= len(texts) <= MOST_IDS:
        _refuse("ids", "out_of_range", f"must be 1 to {MOST_IDS} IDs")
    return [from_request("var", text, "ids") for text in texts]


def versions_of(request: Request) -> frozenset[int] | None:
    """Versions that If-Match names; None where any will do. What is no strong ETag of ours matches nothing."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    found = (VERSION.fullmatch(part.strip()) for part in given.split(","))
    return frozenset(int(each[1]) for each in found if each)


def _price(name: str, query: Query) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(MAX_PRICE)) and int(given) <= MAX_PRICE):
        _refuse(name, "out_of_range", f"must be a whole number from 0 to {MAX_PRICE}")
    return int(given)


def _refuse(field: str, code: str, detail: str) -> NoReturn:
    raise InvalidError(detail=f"{field}: {detail}", faults=(Fault(field=field, code=code, detail=detail),))
