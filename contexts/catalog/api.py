"""HTTP ⇄ services, in Django REST framework.

The gateway has checked body, token, role and key before a view runs.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpResponse, JsonResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from contexts.catalog.domain import (
    MAX_SLUG,
    SLUG,
    CategoryCard,
    ProductCard,
    ProductStatus,
    VariantCard,
    sku_key,
)
from contexts.catalog.services import categories, listing, products, stock
from shop.contract import Principal
from shop.http.drf import Body, MoneyBody, PublicIdField, Whole, moment, money, read
from shop.http.idempotency import answering, resource_id
from shop.http.ids import from_path, from_request
from shop.http.paging import cursor, limit_of, position
from shop.sharding.public_ids import public_id
from shop.sharding.scatter import Page

CONTEXT: Final = "catalog"
MAX_STOCK: Final = 10**9
MAX_VARIANTS: Final = 100


class CategoryBody(Body):
    name = serializers.CharField(max_length=200)
    slug = serializers.RegexField(SLUG, max_length=MAX_SLUG, required=False)
    parent_id = PublicIdField("cat", required=False, allow_null=True)


class VariantBody(Body):
    sku = serializers.CharField(max_length=64)
    price = MoneyBody()
    options = serializers.DictField(child=serializers.CharField(max_length=100), required=False)
    stock = Whole(min_value=0, max_value=MAX_STOCK, required=False)


class ProductBody(Body):
    name = serializers.CharField(max_length=200)
    category_id = PublicIdField("cat")
    variants = serializers.ListField(child=VariantBody(), allow_empty=False, max_length=MAX_VARIANTS)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    attributes = serializers.DictField(required=False)
    status = serializers.ChoiceField([ProductStatus.DRAFT.value, ProductStatus.ACTIVE.value], required=False)

    def validate_variants(self, variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = [sku_key(each["sku"]) for each in variants]
        faults = {
            str(position): {"sku": [serializers.ErrorDetail("the SKU is there twice", "duplicate_sku")]}
            for position, key in enumerate(keys)
            if key in keys[:position]
        }
        if faults:
            raise serializers.ValidationError(faults)
        return variants


class CategoriesView(APIView):
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        asked = query.get("parent")
        page = categories.list_categories(
            parent_id=None if asked is None else from_request("cat", asked, "parent"),
            limit=limit_of(query),
            after=position(f"categories:{asked}", query),
        )
        return _list(f"categories:{asked}", page, [_category(each) for each in page.rows])

    def post(self, request: Request) -> HttpResponse:
        made = categories.create_category(**read(request, CategoryBody), request_id=_request_id(request))
        return JsonResponse(_category(made), status=201)


class CategoryView(APIView):
    def get(self, _request: Request, category_id: str) -> HttpResponse:
        return JsonResponse(_category(categories.category(from_path("cat", category_id))))


class ProductsView(APIView):
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        asked = query.get("category")
        page = listing.list_products(
            category_id=None if asked is None else from_request("cat", asked, "category"),
            limit=limit_of(query),
            after=position(f"products:{asked}", query),
        )
        return _list(f"products:{asked}", page, [_product(each) for each in page.rows])

    def post(self, request: Request) -> HttpResponse:
        body = read(request, ProductBody)
        draft = products.ProductDraft(
            **{**body, "variants": [products.VariantDraft(**each) for each in body["variants"]]}
        )
        done = answering(request._request, _created)
        return _created(products.create_product(draft, request_id=_request_id(request), done=done))


class ProductView(APIView):
    def get(self, request: Request, product_id: str) -> HttpResponse:
        reader: Principal | None = request._request.principal  # type: ignore[attr-defined]  # set by the gateway
        staff = reader is not None and reader.role == "staff" and bool(reader.roles)
        found = listing.product(from_path("prd", product_id), drafts=staff)
        return JsonResponse(_product(found), headers={"ETag": f'"{found.version}"'})


class VariantStockView(APIView):
    def get(self, _request: Request, variant_id: str) -> HttpResponse:
        found = stock.stock_of(from_path("var", variant_id))
        return JsonResponse({"on_hand": found.on_hand, "reserved": found.reserved, "available": found.available})


def _request_id(request: Request) -> int:
    return resource_id(request._request, CONTEXT)


def _list(name: str, page: Page[CategoryCard] | Page[ProductCard], shown: Sequence[dict[str, Any]]) -> HttpResponse:
    last = page.rows[-1] if page.more else None
    following = cursor(name, [last.created_at, last.id]) if last is not None else None
    return JsonResponse({"data": shown, "next_cursor": following})


def _created(made: ProductCard) -> HttpResponse:
    return JsonResponse(_product(made), status=201, headers={"ETag": f'"{made.version}"'})


def _category(card: CategoryCard) -> dict[str, Any]:
    return {
        "id": public_id("cat", card.id),
        "name": card.name,
        "slug": card.slug,
        "parent_id": None if card.parent_id is None else public_id("cat", card.parent_id),
        "created_at": moment(card.created_at),
    }


def _product(card: ProductCard) -> dict[str, Any]:
    return {
        "id": public_id("prd", card.id),
        "name": card.name,
        "description": card.description,
        "category_id": public_id("cat", card.category_id),
        "status": card.status.value,
        "attributes": card.attributes,
        "image_url": card.image_url or None,
        "variants": [_variant(each) for each in card.variants],
        "created_at": moment(card.created_at),
        "updated_at": moment(card.updated_at),
    }


def _variant(card: VariantCard) -> dict[str, Any]:
    return {
        "id": public_id("var", card.id),
        "product_id": public_id("prd", card.product_id),
        "sku": card.sku,
        "options": card.options,
        "price": money(card.price_amount, card.price_currency),
        "available": card.available,
    }
