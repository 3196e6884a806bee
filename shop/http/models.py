"""Claims of Idempotency-Keys, in the caller's bucket."""

from django.db import models
from django.db.models.functions import Now

from shop.sharding.models import PlacedModel


class IdempotencyClaim(PlacedModel):
    """One caller's key: who works on it until when, under which ID the effect is made, and the answer."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"

    principal = models.CharField(max_length=40)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    lease_token = models.UUIDField()
    lease_until = models.DateTimeField()
    resource_id = models.BigIntegerField()
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint(fields=("principal", "key"), name="shop_claim_once"),)
        indexes = (models.Index(fields=("created_at",), name="shop_claim_age"),)
