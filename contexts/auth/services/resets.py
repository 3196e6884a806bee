"""A new password for who has forgotten the old one, by a mail to the address that the account has.

A token is ``<public ID of the reset>.<secret>``. The secret is worked out of the reset, the password that is stored and
the shop's secret key, as in Django's own resets: so it can be written into the mail at each try of sending it, and only
its hash is ever stored.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final, NoReturn

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils.crypto import salted_hmac

from contexts.auth.domain import RESET_LIFETIME, RESET_PREFIX, ResetTokenInvalidError, fold_email
from contexts.auth.models import Customer, PasswordReset, TokenFamily
from contexts.auth.services.customers import CONTEXT, EMAIL, check_password, customer_with, locked_customer
from contexts.auth.services.sessions import end_sign_ins, purge
from shop.contract import Fault
from shop.http.limits import limits
from shop.mail import Letter, render, store_mail
from shop.sharding import hash_bucket, key_of_bucket, new_id, shard_atomic
from shop.sharding.public_ids import InvalidPublicId, number_of, public_id

LIMIT: Final = "reset"
SALT: Final = "contexts.auth.password_reset"
PURGE_BATCH: Final = 200


def request_reset(*, email: str) -> None:
    """Send a token to this address, if it is a customer's; earlier ones of that customer are void from now on.

    Raises:
        RateLimitedError: Somebody has asked for this address too often, whether it is a customer's or not.

    Database: two reads, then one transaction on the customer's shard; the same for nobody.
    """
    address = fold_email(email)
    limits().count(LIMIT, address)
    customer = customer_with(email)
    owner = key_of_bucket(hash_bucket(EMAIL, address)) if customer is None else customer.pk
    reset = PasswordReset(id=new_id(CONTEXT, near=owner), customer_id=owner)
    reset.secret_hash = _hash(_secret(reset.pk, customer))
    reset.expires_at = datetime.now(UTC) + RESET_LIFETIME
    with shard_atomic(CONTEXT, owner):
        locked_customer(owner)  # of two requests at once the second voids the first
        void_resets(owner)
        reset.save(force_insert=True)
        store_mail("password_reset", about=reset.pk, lives=RESET_LIFETIME)


def write_to_customer(reset_id: int) -> Letter | None:
    """The letter with the token; None where it is void by now, or nobody's. Database: two reads."""
    reset = PasswordReset.objects.filter(pk=reset_id, expires_at__gt=datetime.now(UTC)).first()
    customer = Customer.objects.filter(pk=reset.customer_id).first() if reset else None
    if reset is None or customer is None:
        return None
    secret = _secret(reset_id, customer)
    if _hash(secret) != reset.secret_hash:
        return None  # the shop has another secret key than a moment ago
    token = f"{public_id(RESET_PREFIX, reset_id)}.{secret}"
    page, minutes = str(settings.CONTEXT_SETTINGS["PASSWORD_RESET_URL"]), int(RESET_LIFETIME.total_seconds() // 60)
    link = page.replace("{token}", token)
    return render("auth/mails/password_reset", to=customer.email, token=token, link=link, minutes=minutes)


def confirm_reset(*, token: str, new_password: str) -> None:
    """Give whoever has the token another password, and end all sign-ins of the account. The token is used up.

    The password is hashed before the transaction, and only for a token that is good: of two at once one wins.

    Raises:
        PasswordTooWeakError: The new one is no good; the token stays good.
        ResetTokenInvalidError: It is unknown, used, void or too old.

    Emits: SessionsRevoked, if any sign-in was alive.
    Database: one read, then one transaction on the customer's shard.
    """
    check_password(new_password, field="new_password")
    reset = _presented(token)
    stored = make_password(new_password)
    with shard_atomic(CONTEXT, reset.customer_id):
        customer = locked_customer(reset.customer_id)
        if customer is None or not PasswordReset.objects.filter(pk=reset.pk).exists():
            _refuse()
        void_resets(customer.pk)
        Customer.objects.filter(pk=customer.pk).update(password=stored)
        end_sign_ins(customer.pk, TokenFamily.Role.CUSTOMER)


def void_resets(customer_id: int) -> None:
    """No token of this customer is good any more, in the open transaction on its shard."""
    PasswordReset.objects.filter(customer_id=customer_id).delete()


def purge_resets(*, batch: int = PURGE_BATCH) -> int:
    """Forget the resets that are too old; returns how many. Safe to repeat: yes."""
    return purge(PasswordReset.objects.filter(expires_at__lt=datetime.now(UTC)), "expires_at", batch)


def _presented(token: str) -> PasswordReset:
    name, _, secret = token.partition(".")
    try:
        number = number_of(RESET_PREFIX, name)
    except InvalidPublicId:
        _refuse()
    found: PasswordReset | None = PasswordReset.objects.filter(
        pk=number, secret_hash=_hash(secret), expires_at__gt=datetime.now(UTC)
    ).first()
    if found is None:
        _refuse()
    return found


def _secret(reset_id: int, customer: Customer | None) -> str:
    stored = customer.password if customer else ""
    return salted_hmac(SALT, f"{reset_id}:{stored}", algorithm="sha256").hexdigest()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _refuse() -> NoReturn:
    detail = "not a reset token that is still good; ask for another"
    fault = Fault(field="token", code=ResetTokenInvalidError.code, detail=detail)
    raise ResetTokenInvalidError(detail=detail, faults=(fault,))
