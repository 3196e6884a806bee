"""The deny-list: sign-ins that were ended while access tokens of theirs may still be good. At every context's home."""

from django.db import models

from shop.sharding.models import KernelModel


class RevokedSession(KernelModel):
    """A sign-in whose access tokens are refused; after ``until`` none of them is good anyway."""

    home_only = True

    session_id = models.CharField(max_length=40, primary_key=True)
    until = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("until",), name="shop_revoked_until"),)
