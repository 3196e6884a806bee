"""Knowing a password, and changing it. `api` comes in here."""

from django.contrib.auth.hashers import make_password

from contexts.auth.models import Customer, TokenFamily
from contexts.auth.services.customers import CONTEXT, check_password, customer_of
from contexts.auth.services.resets import void_resets
from contexts.auth.services.sessions import end_sign_ins
from shop.http.limits import SignInAttempts
from shop.sharding import shard_atomic
from shop.staff.accounts import InvalidCredentialsError, verify_password


def change_password(*, customer_id: int, current_password: str, new_password: str) -> None:
    """Give a customer another password and end all its sign-ins, this one too; no reset token is good any more.

    Both hashes are computed before the transaction, which then asks that the password compared is still the stored one:
    of two changes at once the second is refused.

    Raises:
        PasswordTooWeakError: The new one is no good.
        TokenInvalidError: The account is gone.
        InvalidCredentialsError: The current one is another.
        RateLimitedError: That has happened too often.

    Emits: SessionsRevoked, if any sign-in was alive.
    Database: one read, then one transaction on the customer's shard.
    """
    check_password(new_password, field="new_password")
    compared = proven_password(customer_id, current_password)
    stored = make_password(new_password)
    with shard_atomic(CONTEXT, customer_id):
        if not Customer.objects.filter(pk=customer_id, password=compared).update(password=stored):
            raise wrong_password()
        void_resets(customer_id)
        end_sign_ins(customer_id, TokenFamily.Role.CUSTOMER)


def proven_password(customer_id: int, password: str) -> str:
    """The hash that is stored, if it is ``password``'s: what is done upon it asks whether it still is.

    Raises:
        TokenInvalidError: The account is gone.
        InvalidCredentialsError: It is another password's.
        RateLimitedError: That has happened too often.

    Database: one read.
    """
    attempts = SignInAttempts(kind="password", account=str(customer_id))
    attempts.admit()
    compared = customer_of(customer_id).password
    if not verify_password(password, compared):
        attempts.failed()
        raise wrong_password()
    return compared


def wrong_password() -> InvalidCredentialsError:
    return InvalidCredentialsError(detail="wrong password")
