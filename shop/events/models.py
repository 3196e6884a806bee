"""Outbox, inbox and the leases of those who work on them: in every database of every context."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from shop.sharding.models import KernelModel, PlacedModel


class OutboxEvent(PlacedModel):
    """A published event, in its aggregate's bucket; its ID is the event's ID. Knows the hand-over, no consumer."""

    class State(models.TextChoices):
        PENDING = "pending"
        HANDED_OVER = "handed_over"
        SKIPPED = "skipped"

    topic = models.CharField(max_length=120)
    key = models.CharField(max_length=20)
    shard_key = models.BigIntegerField()
    event_seq = models.PositiveIntegerField()
    payload = models.JSONField()
    traceparent = models.CharField(max_length=60)
    actor = models.CharField(max_length=40)
    causation = models.CharField(max_length=140)
    created_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=200)
    available_at = models.DateTimeField()
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("available_at", "id"), condition=Q(state="pending"), name="shop_outbox_due"),
            models.Index(fields=("key", "event_seq"), condition=Q(state="pending"), name="shop_outbox_by_key"),
        )


class ForgottenEvents(PlacedModel):
    """Up to which number an aggregate's events were deleted from the outbox, in the bucket of both.

    All of them were done with, one after another without a gap. So what is missing behind that number is lost.
    """

    aggregate = models.CharField(max_length=100)
    key = models.CharField(max_length=20)
    event_seq = models.PositiveIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("key", "aggregate"), name="shop_forgotten_once"),)


class InboxEntry(PlacedModel):
    """What became of an event at one handler, in the bucket of the event's shard key at the consumer."""

    class State(models.TextChoices):
        DONE = "done"
        RETRY = "retry"
        DEAD = "dead"
        SKIPPED = "skipped"

    handler = models.CharField(max_length=120)
    event_id = models.BigIntegerField()
    key = models.CharField(max_length=20)
    event_seq = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    envelope = models.JSONField(null=True)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("handler", "event_id"), name="shop_inbox_once"),)
        indexes = (
            models.Index(fields=("next_at",), condition=Q(state="retry"), name="shop_inbox_due"),
            models.Index(fields=("state",), condition=Q(state="dead"), name="shop_inbox_dead"),
            models.Index(fields=("handler", "key", "event_seq"), name="shop_inbox_of_key"),
        )


class ParkedMessage(KernelModel):
    """What came by a queue and can't be taken: not believed, or of a topic that nobody handles. Kept whole, at a home.

    Its ID is the message's digest, so the same one is parked once.
    """

    home_only = True

    digest = models.CharField(max_length=64, primary_key=True)
    topic = models.CharField(max_length=120)
    reason = models.CharField(max_length=200)
    message = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())


class Duty(KernelModel):
    """Who works on this database as what: one relay, one runner per job. Only saves work; never guards an effect."""

    name = models.CharField(max_length=120, primary_key=True)
    token = models.UUIDField()
    until = models.DateTimeField()
