"""Auth's tables, all in the account's bucket. Only auth's services and admin come in."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from contexts.auth.contract import CustomerErased, CustomerRegistered, SessionsRevoked
from contexts.auth.domain import MAX_EMAIL, MAX_LINE, MAX_NAME, MAX_POSTAL_CODE, REFRESH_PREFIX, RESET_PREFIX
from shop.sharding.public_ids import public_id
from shop.sharding.sharded import ShardedModel


class Customer(ShardedModel):
    """Somebody who buys.

    The e-mail is stored folded. That no other shard has it is `shop.sharding.unique`'s work; the constraint
    here is the last line of defence on this one.
    """

    id_prefix = "cus"
    tells = (CustomerRegistered, CustomerErased)

    email = models.CharField(max_length=MAX_EMAIL, unique=True)
    name = models.CharField(max_length=MAX_NAME, blank=True)
    password = models.CharField(max_length=128)
    created_at = models.DateTimeField(db_default=Now())
    event_seq = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return public_id("cus", self.pk)


class Address(ShardedModel):
    """Where a customer has things sent. Orders keep copies: changing one here changes no order."""

    shard_keys: ClassVar[tuple[str, ...]] = ("customer_id",)
    id_prefix = "adr"

    customer = models.ForeignKey[Any, Any](Customer, on_delete=models.CASCADE, related_name="addresses", db_index=False)
    name = models.CharField(max_length=MAX_LINE)
    line1 = models.CharField(max_length=MAX_LINE)
    line2 = models.CharField(max_length=MAX_LINE, blank=True)
    city = models.CharField(max_length=MAX_LINE)
    region = models.CharField(max_length=MAX_LINE, blank=True)
    postal_code = models.CharField(max_length=MAX_POSTAL_CODE)
    country = models.CharField(max_length=2)
    created_at = models.DateTimeField(db_default=Now())

    class Meta(ShardedModel.Meta):
        indexes = (models.Index(fields=("customer", "-id"), name="auth_address_of_customer"),)

    def __str__(self) -> str:
        return public_id("adr", self.pk)


class AccountSessions(ShardedModel):
    """What all sign-ins of an account share, under the account's own ID: the number of the last event."""

    tells = (SessionsRevoked,)

    event_seq = models.PositiveIntegerField(default=0)


class TokenFamily(ShardedModel):
    """One sign-in of an account, and all refresh tokens that followed from it; each moves ``expires_at``.

    Decision: a staff account's families lie in the bucket of its ID on auth's shards, as customers' do,
    though the account itself is a row of the home. So both sign in, refresh and log out in one way, with one
    sweeper, and a slice that moves takes its families with it.
    """

    class Role(models.TextChoices):
        CUSTOMER = "customer"
        STAFF = "staff"

    shard_keys: ClassVar[tuple[str, ...]] = ("account_id",)
    id_prefix = REFRESH_PREFIX

    account_id = models.BigIntegerField(db_index=True)
    role = models.CharField(max_length=8, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta(ShardedModel.Meta):
        indexes = (models.Index(fields=("expires_at", "id"), name="auth_family_expiry"),)

    @property
    def session_id(self) -> str:
        """What access tokens and events call this sign-in."""
        return public_id(REFRESH_PREFIX, self.pk)

    def __str__(self) -> str:
        return self.session_id


class RefreshToken(ShardedModel):
    """One link of a family: SHA-256 of its secret. Used ones stay a month, so that a replay is noticed."""

    shard_keys: ClassVar[tuple[str, ...]] = ("family_id",)

    family = models.ForeignKey[Any, Any](TokenFamily, on_delete=models.CASCADE, related_name="tokens", db_index=False)
    secret_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta(ShardedModel.Meta):
        constraints = (models.UniqueConstraint(fields=("family", "secret_hash"), name="auth_refresh_once"),)
        indexes = (
            models.Index(fields=("used_at", "id"), condition=Q(used_at__isnull=False), name="auth_refresh_used"),
        )


class PasswordReset(ShardedModel):
    """That somebody has asked for a new password, and SHA-256 of the secret that proves it. The last one counts.

    One is written for an address that is no customer's too, under an ID that is nobody's: asking takes the same time.
    """

    shard_keys: ClassVar[tuple[str, ...]] = ("customer_id",)
    id_prefix = RESET_PREFIX

    customer_id = models.BigIntegerField(db_index=True)
    secret_hash = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    class Meta(ShardedModel.Meta):
        indexes = (models.Index(fields=("expires_at", "id"), name="auth_reset_expiry"),)
