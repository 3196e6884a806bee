"""What requests may say. The views come in here."""

from typing import Any, Final

from rest_framework import serializers

from contexts.catalog.domain import MAX_SLUG, SLUG, ProductStatus, sku_key
from shop.http.drf import Body, MoneyBody, PublicIdField, Whole

MAX_STOCK: Final = 10**9
MAX_VARIANTS: Final = 100
MAX_REASON: Final = 200


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


class CategoryChange(Body):
    name = serializers.CharField(max_length=200, required=False)
    slug = serializers.RegexField(SLUG, max_length=MAX_SLUG, required=False)
    parent_id = PublicIdField("cat", required=False, allow_null=True)


class ProductChange(Body):
    name = serializers.CharField(max_length=200, required=False)
    category_id = PublicIdField("cat", required=False)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    attributes = serializers.DictField(required=False)
    status = serializers.ChoiceField([ProductStatus.DRAFT.value, ProductStatus.ACTIVE.value], required=False)


class VariantChange(Body):
    price = MoneyBody(required=False)
    options = serializers.DictField(child=serializers.CharField(max_length=100), required=False)


class AdjustmentBody(Body):
    delta = Whole(min_value=-MAX_STOCK, max_value=MAX_STOCK)
    reason = serializers.CharField(max_length=MAX_REASON)

    def validate_delta(self, delta: int) -> int:
        if delta == 0:
            raise serializers.ValidationError("must not be zero", code="zero")
        return delta
