"""What became of atomic commands: one row per caller, method and key, in the bucket of the command's shard key."""

from django.db import models
from django.db.models.functions import Now

from shop.sharding.models import PlacedModel


class Outcome(PlacedModel):
    """Result or declared error of a command, committed with its effect."""

    caller = models.CharField(max_length=50)
    method = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    arguments_hash = models.CharField(max_length=64)
    result = models.TextField()
    error = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint(fields=("caller", "method", "key"), name="shop_outcome_once"),)
