"""What answers say: cards as JSON and as the API's document shows them, pages of them. The views come in here."""

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from contexts.catalog.domain import CategoryCard, MovementCard, MovementReason, ProductCard, ProductStatus, VariantCard
from shop.contract import Principal
from shop.http.drf import MoneyOut, PublicIdField, page_of
from shop.http.idempotency import resource_id
from shop.http.paging import cursor
from shop.http.rendering import answer, moment, money
from shop.sharding.public_ids import public_id

CONTEXT: Final = "catalog"


class CategoryOut(serializers.Serializer[Any]):
    """A category; `parent_id` is null at the top of the tree."""

    id = PublicIdField("cat")
    name = serializers.CharField()
    slug = serializers.CharField()
    parent_id = PublicIdField("cat", allow_null=True)
    created_at = serializers.DateTimeField()


class VariantOut(serializers.Serializer[Any]):
    """What of a product is sold, with the pieces that are free of it now."""

    id = PublicIdField("var")
    product_id = PublicIdField("prd")
    sku = serializers.CharField()
    options = serializers.DictField(child=serializers.CharField(allow_blank=True))
    price = MoneyOut()
    available = serializers.IntegerField()


class ProductOut(serializers.Serializer[Any]):
    """A product with its variants."""

    id = PublicIdField("prd")
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    category_id = PublicIdField("cat")
    status = serializers.ChoiceField([each.value for each in ProductStatus])
    attributes = serializers.DictField()
    image_url = serializers.CharField(allow_null=True)
    variants = VariantOut(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class StockOut(serializers.Serializer[Any]):
    """Pieces of a variant: what is free is what is there and not held."""

    on_hand = serializers.IntegerField()
    reserved = serializers.IntegerField()
    available = serializers.IntegerField()


class MovementOut(serializers.Serializer[Any]):
    """Why there are more pieces of a variant, or fewer; `on_hand` is what was there after it."""

    id = PublicIdField("mov")
    type = serializers.ChoiceField([each.value for each in MovementReason])
    delta = serializers.IntegerField()
    reason = serializers.CharField(allow_blank=True)
    on_hand = serializers.IntegerField()
    created_at = serializers.DateTimeField()


CATEGORIES: Final = page_of("CategoryList", CategoryOut)
PRODUCTS: Final = page_of("ProductList", ProductOut)
VARIANTS: Final = page_of("VariantList", VariantOut)
MOVEMENTS: Final = page_of("MovementList", MovementOut)


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
    return answer({"data": shown, "next_cursor": following})


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
    return answer(product_json(card), status=status, headers={"ETag": f'"{card.version}"'})


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
