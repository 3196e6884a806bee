"""What requests may say. The views come in here."""

from typing import Any, Final

from django.core.validators import RegexValidator
from rest_framework import serializers

from contexts.catalog.domain import MAX_SLUG, SLUG, ProductStatus, sku_key
from shop.http.drf import Body, MoneyBody, PublicIdField, Text, Whole

MAX_STOCK: Final = 10**9
MAX_VARIANTS: Final = 100
MAX_REASON: Final = 200
MAX_OPTIONS: Final = 20
MAX_OPTION: Final = 100


class Slug(Text):
    """A category's part of an address."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_SLUG, **options)
        self.validators.append(RegexValidator(SLUG, "must be lower-case letters, digits and single hyphens"))


class Options(serializers.DictField):
    """What tells a variant from its sisters: ``{"size": "M"}``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=Text(max_length=MAX_OPTION), **options)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        found: dict[str, str] = super().to_internal_value(data)
        if len(found) > MAX_OPTIONS:
            raise serializers.ValidationError(f"at most {MAX_OPTIONS} options", code="max_length")
        for name in found:
            self.child.run_validation(name)
        return found


class CategoryBody(Body):
    name = Text(max_length=200)
    slug = Slug(required=False)
    parent_id = PublicIdField("cat", required=False, allow_null=True)


class VariantBody(Body):
    sku = Text(max_length=64)
    price = MoneyBody()
    options = Options(required=False)
    stock = Whole(min_value=0, max_value=MAX_STOCK, required=False)


class ProductBody(Body):
    name = Text(max_length=200)
    category_id = PublicIdField("cat")
    variants = serializers.ListField(child=VariantBody(), allow_empty=False, max_length=MAX_VARIANTS)
    description = Text(lines=True, max_length=20_000, required=False, allow_blank=True)
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
    name = Text(max_length=200, required=False)
    slug = Slug(required=False)
    parent_id = PublicIdField("cat", required=False, allow_null=True)


class ProductChange(Body):
    name = Text(max_length=200, required=False)
    category_id = PublicIdField("cat", required=False)
    description = Text(lines=True, max_length=20_000, required=False, allow_blank=True)
    attributes = serializers.DictField(required=False)
    status = serializers.ChoiceField([ProductStatus.DRAFT.value, ProductStatus.ACTIVE.value], required=False)


class VariantChange(Body):
    price = MoneyBody(required=False)
    options = Options(required=False)


class AdjustmentBody(Body):
    delta = Whole(min_value=-MAX_STOCK, max_value=MAX_STOCK)
    reason = Text(lines=True, max_length=MAX_REASON)

    def validate_delta(self, delta: int) -> int:
        if delta == 0:
            raise serializers.ValidationError("must not be zero", code="zero")
        return delta
