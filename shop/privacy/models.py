"""Which customers were erased, in every context, in the customer's bucket."""

from django.db import models
from django.db.models import Q

from shop.sharding.models import PlacedModel


class Erasure(PlacedModel):
    """That a customer was erased here, under the customer's own ID: all that is left.

    Attributes:
        due_at: When to erase once more what has come in meanwhile; null: nothing can come any more.
    """

    erased_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("due_at",), condition=Q(due_at__isnull=False), name="shop_erasure_due"),)
