"""Customers: opening an account, seeing and changing it."""

from typing import Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from contexts.auth.contract import CustomerRegistered
from contexts.auth.domain import (
    Account,
    EmailTakenError,
    check_password_length,
    email_of,
    fold_email,
    too_weak,
)
from contexts.auth.models import Customer
from shop.events import publish
from shop.gateway.tokens import TokenInvalidError
from shop.sharding import hash_bucket, key_of_bucket, new_id, shard_atomic
from shop.sharding.unique import ValueTaken, confirm, mark_created, owner_of_value, reserve

CONTEXT: Final = "auth"
EMAIL: Final = "email"


def register(*, email: str, password: str, name: str = "") -> Account:
    """Open an account.

    A crash on the way leaves a reservation that the next one who wants the address, or the sweeper, resolves.

    Raises:
        InvalidEmailError, PasswordTooWeakError: What was given is no good.
        EmailTakenError: There is an account with this address.

    Emits: CustomerRegistered.
    Database: the address's shard, the customer's, the address's again; a transaction each.
    """
    address = email_of(email)
    check_password(password)
    stored = make_password(password)
    customer_id = new_id(CONTEXT)
    _reserve(address, customer_id)
    with shard_atomic(CONTEXT, customer_id):
        mark_created(customer_id)
        Customer.objects.create(id=customer_id, email=address, name=name, password=stored)
        publish(CustomerRegistered(customer_id=str(customer_id)), seq=1)
    confirm(CONTEXT, EMAIL, {address: customer_id})
    return account_of(customer_id)


def _reserve(address: str, customer_id: int) -> None:
    try:
        reserve(CONTEXT, EMAIL, {address: customer_id})
    except ValueTaken:
        raise EmailTakenError(detail="there is an account with this e-mail address") from None


def check_password(password: str, *, field: str = "password") -> None:
    """Refuse a password that is too short, too long or on the list of common ones; ``field`` of the request held it.

    Raises:
        PasswordTooWeakError: It is.
    """
    check_password_length(password, field=field)
    try:
        validate_password(password)
    except ValidationError as error:
        raise too_weak(" ".join(error.messages), field=field) from None


def customer_with(email: str) -> Customer | None:
    """The customer with this address; as many queries whether there is one or not."""
    address = fold_email(email)
    owner = owner_of_value(CONTEXT, EMAIL, address)
    key = key_of_bucket(hash_bucket(EMAIL, address)) if owner is None else owner
    return Customer.objects.filter(pk=key).first()


def account_of(customer_id: int) -> Account:
    """What a customer may see of itself.

    Raises:
        TokenInvalidError: The token is good, but the account behind it is gone.
    """
    customer = customer_of(customer_id)
    return Account(customer_id=customer.pk, email=customer.email, name=customer.name, created_at=customer.created_at)


def customer_of(customer_id: int) -> Customer:
    """The row of a customer who has come with a token.

    Raises:
        TokenInvalidError: The token is good, but the account behind it is gone.
    """
    customer: Customer | None = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise TokenInvalidError(detail="this account is gone")
    return customer


def locked_customer(customer_id: int) -> Customer | None:
    """The customer's row as it is now, kept so until the open transaction ends."""
    row: Customer | None = Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
    return row


def rename(*, customer_id: int, name: str) -> Account:
    """Change what a customer is called.

    Raises:
        TokenInvalidError: The account is gone.

    Database: the customer's shard, one transaction. Safe to repeat: yes.
    """
    with shard_atomic(CONTEXT, customer_id):
        Customer.objects.filter(pk=customer_id).update(name=name)
    return account_of(customer_id)
