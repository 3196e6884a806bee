"""Catalog's tables. Categories are at home; a product and all of it is in the bucket of its first category.

`services` come in here, and `admin`.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from django.db import models
from django.db.models import F, Func, Q

from contexts.catalog.contract import ProductArchived, ProductChanged, StockDepleted
from contexts.catalog.domain import MAX_NAME_KEY, MAX_SLUG, LineState, MovementReason, ProductStatus
from shop.sharding.ids import BUCKETS
from shop.sharding.sharded import HomeModel, ShardedModel


def _choices(states: Iterable[StrEnum]) -> list[tuple[str, str]]:
    return [(state.value, state.value) for state in states]


class Category(HomeModel):
    """A node of the tree. The bucket in its ID is where products made in it go.

    ``request_id`` is the ID that an Idempotency-Key claimed, so that a repetition finds its own effect. While
    ``closing`` is set the category is about to be deleted, and no product comes in.
    """

    name = models.CharField(max_length=200)
    slug = models.CharField(max_length=MAX_SLUG, unique=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    closing = models.BooleanField(default=False, editable=False)
    request_id = models.BigIntegerField(null=True, unique=True, editable=False)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "categories"
        indexes = (models.Index(fields=("-created_at", "-id"), name="catalog_category_newest"),)

    def __str__(self) -> str:
        return self.name


class CategoryBucket(HomeModel):
    """Products of the category may be in this bucket: a listing asks the shards of these and no other."""

    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="buckets")
    bucket = models.PositiveSmallIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("category", "bucket"), name="catalog_category_bucket_once"),
            models.CheckConstraint(condition=Q(bucket__lt=BUCKETS), name="catalog_category_bucket_range"),
        )

    def __str__(self) -> str:
        return f"{self.category_id}: {self.bucket}"


class HasWords(Func):
    """Whether each of ``prefixes`` begins a word of the product. The migration of the search makes the index."""

    output_field = models.BooleanField()

    def __init__(self, prefixes: Sequence[str]) -> None:
        super().__init__(F("id"), F("search_text"))
        self.prefixes = prefixes

    def as_postgresql(self, compiler: Any, connection: Any, **extra_context: Any) -> tuple[str, list[Any]]:
        text, params = compiler.compile(self.source_expressions[1])
        wanted = " & ".join(f"'{each}':*" for each in self.prefixes)
        return f"array_to_tsvector(string_to_array({text}, ' ')) @@ %s::tsquery", [*params, wanted]

    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> tuple[str, tuple[str | int, ...]]:
        number, params = compiler.compile(self.source_expressions[0])
        wanted = " ".join(f'"{each}"*' for each in self.prefixes)
        index = "shop_catalog_product_words"
        return f"{number} IN (SELECT rowid FROM {index} WHERE {index} MATCH %s)", (*params, wanted)  # noqa: S608  no input


class Product(ShardedModel):
    """What is sold in one or more variants. ``category_id`` may change, the bucket never does.

    ``name_key``, ``search_text`` and ``price_from`` (the cheapest variant) are made of the rest, for lists.
    """

    id_prefix = "prd"
    tells = (ProductChanged, ProductArchived)

    category_id = models.BigIntegerField()
    name = models.CharField(max_length=200)
    name_key = models.CharField(max_length=MAX_NAME_KEY)
    search_text = models.TextField()
    price_from = models.BigIntegerField()
    description = models.TextField(default="", blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    image_url = models.CharField(max_length=500, default="", blank=True)
    status = models.CharField(max_length=8, choices=_choices(ProductStatus), default=ProductStatus.ACTIVE)
    version = models.PositiveIntegerField(default=1)
    event_seq = models.PositiveIntegerField(default=0)
    request_id = models.BigIntegerField(null=True, unique=True, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta(ShardedModel.Meta):
        indexes = (
            models.Index(fields=("-created_at", "-id"), condition=Q(status="active"), name="catalog_product_newest"),
            models.Index(
                fields=("category_id", "-created_at", "-id"),
                condition=Q(status="active"),
                name="catalog_product_in_category",
            ),
            models.Index(fields=("price_from", "id"), condition=Q(status="active"), name="catalog_product_cheapest"),
            models.Index(fields=("name_key", "id"), condition=Q(status="active"), name="catalog_product_by_name"),
        )

    def __str__(self) -> str:
        return self.name


class Variant(ShardedModel):
    """One thing that can be bought: its price, and its SKU, unique over all shards."""

    shard_keys = ("product_id",)
    id_prefix = "var"

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="variants")
    sku = models.CharField(max_length=64)
    sku_key = models.CharField(max_length=250, unique=True)
    options = models.JSONField(default=dict, blank=True)
    price_amount = models.BigIntegerField()
    price_currency = models.CharField(max_length=3)
    request_id = models.BigIntegerField(null=True, unique=True, editable=False)

    class Meta(ShardedModel.Meta):
        constraints = (models.CheckConstraint(condition=Q(price_amount__gt=0), name="catalog_price_positive"),)

    def __str__(self) -> str:
        return self.sku


class StockLevel(ShardedModel):
    """Pieces of the variant with the same ID. Available is what is on hand and not reserved.

    Its row lock guards everything of the variant's stock: lines and movements are written under it.
    """

    id_prefix = "var"
    tells = (StockDepleted,)

    on_hand = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    event_seq = models.PositiveIntegerField(default=0)

    class Meta(ShardedModel.Meta):
        constraints = (
            models.CheckConstraint(condition=Q(on_hand__gte=0), name="catalog_on_hand_not_negative"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="catalog_reserved_not_negative"),
            models.CheckConstraint(condition=Q(reserved__lte=F("on_hand")), name="catalog_reserved_on_hand"),
        )

    def __str__(self) -> str:
        return f"{self.pk}: {self.on_hand} on hand, {self.reserved} reserved"

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class ReservationLine(ShardedModel):
    """What an order holds of a variant, or held. A line that was cancelled before it came has quantity 0."""

    shard_keys = ("variant_id",)

    order_id = models.BigIntegerField()
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=_choices(LineState))
    expires_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta(ShardedModel.Meta):
        constraints = (models.UniqueConstraint(fields=("order_id", "variant"), name="catalog_line_once"),)
        indexes = (models.Index(fields=("expires_at", "id"), condition=Q(state="held"), name="catalog_line_expiring"),)

    def __str__(self) -> str:
        return f"order {self.order_id}: {self.quantity} {self.state}"


class StockMovement(ShardedModel):
    """Why the number on hand changed; only ever added to. A variant's movements sum up to what is on hand."""

    shard_keys = ("variant_id",)
    id_prefix = "mov"

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    delta = models.BigIntegerField()
    reason = models.CharField(max_length=8, choices=_choices(MovementReason))
    cause = models.CharField(max_length=200)
    on_hand = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta(ShardedModel.Meta):
        indexes = (models.Index(fields=("variant", "-at", "-id"), name="catalog_movement_newest"),)

    def __str__(self) -> str:
        return f"{self.delta:+d} {self.reason}"
