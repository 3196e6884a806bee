"""Tables of ordering. Everything of a customer lies in the customer's bucket."""

from typing import Final

from django.db import models
from django.db.models import Q

from contexts.ordering.contract import (
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderExpired,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
)
from contexts.ordering.domain import (
    LIVE_ATTEMPTS,
    AttemptStatus,
    FulfilmentStatus,
    OrderStatus,
    PaymentStatus,
)
from shop.sharding.sharded import HomeModel, ShardedModel

MAX_LINE_NAME: Final = 300


def _choices(
    kind: type[OrderStatus | PaymentStatus | FulfilmentStatus | AttemptStatus],
) -> list[tuple[str, str]]:
    return [(member.value, member.value.replace("_", " ")) for member in kind]


def _due(name: str) -> models.Index:
    """Finds the rows that a job has to see; those with nothing left to do are not in it.

    Not by a list of statuses: SQLite takes a partial index only where the query's own words imply its condition.
    """
    return models.Index(fields=("due_at",), condition=Q(due_at__isnull=False), name=name)


class Cart(ShardedModel):
    """What a customer means to buy. Every change raises ``version``; an order is made from one version, once.

    Attributes:
        checkout_version: The version that a checkout has begun on, last.
        checkout_order_id: The ID its order has or will have: all checkouts of one version make the same order.
    """

    shard_keys = ("customer_id",)

    customer_id = models.BigIntegerField(unique=True)
    version = models.PositiveIntegerField(default=1)
    checkout_version = models.PositiveIntegerField(null=True)
    checkout_order_id = models.BigIntegerField(null=True)


class CartLine(ShardedModel):
    """So many pieces of a variant; no copy of its price."""

    shard_keys = ("cart_id",)

    cart = models.ForeignKey(Cart, models.CASCADE, related_name="lines")
    variant_id = models.BigIntegerField()
    quantity = models.PositiveIntegerField()

    class Meta(ShardedModel.Meta):
        constraints = (models.UniqueConstraint(fields=("cart", "variant_id"), name="ordering_cart_variant_once"),)


class Order(ShardedModel):
    """One order with the prices and the address of its day."""

    shard_keys = ("customer_id",)
    id_prefix = "ord"
    tells = (OrderCreated, OrderPlaced, OrderCancelled, OrderExpired, OrderShipped, OrderDelivered, OrderRefunded)

    customer_id = models.BigIntegerField()
    status = models.CharField(max_length=20, choices=_choices(OrderStatus))
    payment_status = models.CharField(max_length=20, choices=_choices(PaymentStatus), default=PaymentStatus.UNPAID)
    fulfilment_status = models.CharField(
        max_length=20, choices=_choices(FulfilmentStatus), default=FulfilmentStatus.UNFULFILLED
    )
    currency = models.CharField(max_length=3)
    subtotal = models.BigIntegerField()
    discount_total = models.BigIntegerField()
    shipping_total = models.BigIntegerField()
    tax_total = models.BigIntegerField()
    total = models.BigIntegerField()
    shipping_address = models.JSONField()
    cancel_reason = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()
    placed_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    event_seq = models.PositiveIntegerField(default=1)
    cart_id = models.BigIntegerField(null=True)
    cart_version = models.PositiveIntegerField(null=True)

    class Meta(ShardedModel.Meta):
        constraints = (models.UniqueConstraint(fields=("cart_id", "cart_version"), name="ordering_cart_once"),)
        indexes = (
            models.Index(fields=("customer_id", "-id"), name="ordering_order_of_customer"),
            models.Index(fields=("-created_at", "-id"), name="ordering_order_newest"),
            models.Index(fields=("expires_at",), condition=Q(status="pending_payment"), name="ordering_order_expiring"),
        )

    def __str__(self) -> str:
        return f"order {self.pk}"


class OrderLine(ShardedModel):
    """One variant of an order, as it was offered."""

    shard_keys = ("order_id",)

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    variant_id = models.BigIntegerField()
    product_id = models.BigIntegerField()
    sku = models.CharField(max_length=64)
    name = models.CharField(max_length=MAX_LINE_NAME)
    quantity = models.PositiveIntegerField()
    unit_price = models.BigIntegerField()
    total = models.BigIntegerField()

    class Meta(ShardedModel.Meta):
        constraints = (models.UniqueConstraint(fields=("order", "variant_id"), name="ordering_line_variant_once"),)


class Payment(ShardedModel):
    """One attempt to pay an order. At most one of an order is open or captured; what comes beside it is surplus.

    Attributes:
        provider_key: Under which the provider knows the attempt; stored before it is asked.
        due_at: When the reconciler has to ask the provider; null: the attempt is closed.
    """

    shard_keys = ("order_id",)
    id_prefix = "pay"

    order = models.ForeignKey(Order, models.CASCADE, related_name="payments")
    provider = models.CharField(max_length=30)
    provider_key = models.CharField(max_length=60)
    provider_ref = models.CharField(max_length=100)
    status = models.CharField(max_length=20, choices=_choices(AttemptStatus), default=AttemptStatus.PENDING)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    failure_code = models.CharField(max_length=60)
    surplus = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)

    class Meta(ShardedModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("order",),
                condition=Q(status__in=[status.value for status in LIVE_ATTEMPTS], surplus=False),
                name="ordering_one_live_payment",
            ),
        )
        indexes = (_due("ordering_payment_due"),)


class PaymentEvent(ShardedModel):
    """The ledger: what a provider said about a payment. Append-only; sums are taken from here, never incremented."""

    class Kind(models.TextChoices):
        CAPTURED = "captured"
        FAILED = "failed"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    shard_keys = ("payment_id",)

    payment = models.ForeignKey(Payment, models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    amount = models.BigIntegerField()
    provider_ref = models.CharField(max_length=100)
    at = models.DateTimeField()

    class Meta(ShardedModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("payment", "kind", "provider_ref"), name="ordering_payment_event_once"),
        )


class Refund(ShardedModel):
    """Money to give back, written with the reason for it; a job calls the provider.

    Attributes:
        provider_key: Under which the provider is asked; stored before.
        due_at: When the job has to ask the provider; null: it went through, or was refused for good.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    shard_keys = ("order_id", "payment_id")
    id_prefix = "ref"

    order = models.ForeignKey(Order, models.CASCADE, related_name="refunds")
    payment = models.ForeignKey(Payment, models.CASCADE, related_name="refunds")
    provider_key = models.CharField(max_length=60)
    amount = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    by_system = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)

    class Meta(ShardedModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("payment",), condition=Q(by_system=True), name="ordering_refund_by_system_once"
            ),
            models.UniqueConstraint(fields=("payment", "provider_key"), name="ordering_refund_key_once"),
        )
        indexes = (_due("ordering_refund_due"),)


class WebhookInbox(ShardedModel):
    """What a provider reported, well signed, about a payment of ours: stored first, applied later.

    Attributes:
        due_at: When a job has to apply it; null: it is applied, or parked until somebody has looked at ``reason``.
    """

    class State(models.TextChoices):
        STORED = "stored"
        APPLIED = "applied"
        PARKED = "parked"

    shard_keys = ("payment_id",)

    payment = models.ForeignKey(Payment, models.CASCADE, related_name="webhooks")
    event_id = models.CharField(max_length=100)
    type = models.CharField(max_length=100)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.STORED)
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=200)
    received_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)

    class Meta(ShardedModel.Meta):
        # The payment stands for its provider, and for the bucket: a key without it could clash when a slice moves.
        constraints = (models.UniqueConstraint(fields=("payment", "event_id"), name="ordering_webhook_once"),)
        indexes = (_due("ordering_webhook_due"),)


class UnmatchedWebhook(HomeModel):
    """What a provider reported, well signed, that names no payment of ours. Nobody applies it; people can look."""

    provider = models.CharField(max_length=30)
    event_id = models.CharField(max_length=100)
    type = models.CharField(max_length=100)
    body = models.TextField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("provider", "event_id"), name="ordering_unmatched_once"),)


class Shipment(ShardedModel):
    """A parcel. Whole orders ship at once, so an order has one at most.

    Attributes:
        due_at: When the return window closes and the order is complete; null: not delivered yet, or complete.
    """

    shard_keys = ("order_id",)
    id_prefix = "shp"

    order = models.ForeignKey(Order, models.CASCADE, related_name="shipments")
    carrier = models.CharField(max_length=100)
    tracking_number = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)

    class Meta(ShardedModel.Meta):
        constraints = (models.UniqueConstraint(fields=("order",), name="ordering_one_shipment"),)
        indexes = (_due("ordering_shipment_due"),)


class TimelineEntry(ShardedModel):
    """One thing that happened to an order, for people."""

    shard_keys = ("order_id",)

    order = models.ForeignKey(Order, models.CASCADE, related_name="timeline")
    type = models.CharField(max_length=40)
    data = models.JSONField(default=dict)
    at = models.DateTimeField()
