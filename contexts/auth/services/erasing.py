"""Erasing an account. `api` comes in here, and what hears that an account was erased.

One transaction takes the account away, ends its sign-ins and tells it. From then on nobody signs in, and nothing is
added: who does either locks the customer's row first. All else follows from the event, however often it comes.
"""

from typing import Final

import structlog
from django.db import InterfaceError, OperationalError

from contexts.auth.contract import CustomerErased
from contexts.auth.models import Address, Customer, PasswordReset, TokenFamily
from contexts.auth.services.customers import CONTEXT
from contexts.auth.services.passwords import proven_password, wrong_password
from contexts.auth.services.sessions import end_sign_ins
from shop.contract import UnavailableError
from shop.events import publish
from shop.sharding import shard_atomic
from shop.sharding.sharded import ShardedModel
from shop.sharding.unique import free

BELONGINGS: Final[tuple[tuple[type[ShardedModel], str], ...]] = (
    (Address, "customer_id"),
    (PasswordReset, "customer_id"),
)
"""What goes with an account, by the column that holds the customer's ID; all of it lies in the customer's bucket."""

log = structlog.get_logger(__name__)


def erase_account(*, customer_id: int, password: str) -> None:
    """Erase a customer's account, here at once and everywhere else within moments. It can't be undone.

    Raises:
        TokenInvalidError: The account is gone already.
        InvalidCredentialsError: The password is another.
        RateLimitedError: That has happened too often.

    Emits: CustomerErased; SessionsRevoked, if any sign-in was alive.
    Database: one read, one transaction on the customer's shard, then the address's.
    """
    compared = proven_password(customer_id, password)
    with shard_atomic(CONTEXT, customer_id):
        found = Customer.objects.select_for_update().filter(pk=customer_id, password=compared)
        customer: Customer | None = found.first()
        if customer is None:
            raise wrong_password()
        end_sign_ins(customer_id, TokenFamily.Role.CUSTOMER)
        publish(CustomerErased(customer_id=str(customer_id)), seq=customer.event_seq + 1)
        _delete(customer_id)
    try:
        free(CONTEXT, customer_id)  # the address can be registered anew at once
    except (UnavailableError, OperationalError, InterfaceError) as error:
        log.info("email_is_freed_later", error=type(error).__name__)  # by the event


def erase_what_is_left(*, customer_id: int) -> None:
    """Erase what an erased account has left behind: its sign-ins, and its e-mail address where all can find it.

    Database: the customer's shard, one transaction, then the address's. Safe to repeat.
    """
    with shard_atomic(CONTEXT, customer_id):
        _delete(customer_id)
        # Not with the account: a refresh under way holds its token's row and wants its family's.
        TokenFamily.objects.on(customer_id).filter(account_id=customer_id, role=TokenFamily.Role.CUSTOMER).delete()
    free(CONTEXT, customer_id)


def _delete(customer_id: int) -> None:
    for table, column in BELONGINGS:
        rows = table.objects.on(customer_id).filter(**{column: customer_id})
        rows.delete()
    Customer.objects.filter(pk=customer_id).delete()
