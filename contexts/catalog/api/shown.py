"""What answers say: cards as JSON, pages of them. The views come in here."""

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpResponse, JsonResponse
from rest_framework.request import Request

from contexts.catalog.domain import CategoryCard, MovementCard, ProductCard, VariantCard
from shop.contract import Principal
from shop.http.drf import moment, money
from shop.http.idempotency import resource_id
from shop.http.paging import cursor
from shop.sharding.public_ids import public_id

CONTEXT: Final = "catalog"


def request_id(request: Request, *, near: int | None = None) -> int:
    """The ID under which a repetition of this request finds its own effect."""
    return resource_id(request._request, CONTEXT, near=near)


def sees_drafts(request: Request) -> bool:
    """Whether the reader is staff with a role."""
    reader: Principal | None = request._request.principal  # type: ignore[attr-defined]  # set by the gateway
    return reader is not None and reader.role == "staff" and bool(reader.roles)


def listed(name: str, shown: Sequence[dict[str, Any]], last: Sequence[Any] | None) -> HttpResponse:
    """A page of a list; ``last`` is where it ended, None where nothing follows."""
    following = None if last is None else cursor(name, last)
    return JsonResponse({"data": shown, "next_cursor": following})


def category_json(card: CategoryCard) -> dict[str, Any]:
    return {
        "id": public_id("cat", card.id),
        "name": card.name,
        "slug": card.slug,
        "parent_id": None if card.parent_id is None else public_id("cat", card.parent_id),
        "created_at": moment(card.created_at),
    }


def product_json(card: ProductCard) -> dict[str, Any]:
    return {
        "id": public_id("prd", card.id),
        "name": card.name,
        "description": card.description,
        "category_id": public_id("cat", card.category_id),
        "status": card.status.value,
        "attributes": card.attributes,
        "image_url": card.image_url or None,
        "variants": [variant_json(each) for each in card.variants],
        "created_at": moment(card.created_at),
        "updated_at": moment(card.updated_at),
    }


def product_answer(card: ProductCard, *, status: int = 200) -> HttpResponse:
    """A product with its version as ETag."""
    return JsonResponse(product_json(card), status=status, headers={"ETag": f'"{card.version}"'})


def variant_json(card: VariantCard) -> dict[str, Any]:
    return {
        "id": public_id("var", card.id),
        "product_id": public_id("prd", card.product_id),
        "sku": card.sku,
        "options": card.options,
        "price": money(card.price_amount, card.price_currency),
        "available": card.available,
    }


def movement_json(card: MovementCard) -> dict[str, Any]:
    return {
        "id": public_id("mov", card.id),
        "type": card.type.value,
        "delta": card.delta,
        "reason": card.reason,
        "on_hand": card.on_hand,
        "created_at": moment(card.at),
    }
