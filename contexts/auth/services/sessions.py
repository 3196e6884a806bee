"""Sign-ins and their refresh tokens: opening, rotating, ending, forgetting.

A password change ends all sign-ins of its account. So whoever signs in does that under the lock of the customer's row,
and only while the password just compared is still the stored one: no sign-in slips through behind the change.

A refresh token is ``<public ID of its family>.<secret>``: it finds its shard by itself, and only the secret's
hash is stored. Using one up is a single conditional UPDATE, so of any number of parallel attempts one wins. A
second use means that two hold it, and ends the family; there is no grace.
"""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import structlog

from contexts.auth.contract import SessionsRevoked
from contexts.auth.domain import REFRESH_LIFETIME, REFRESH_PREFIX, TokenReusedError, Tokens, fold_email
from contexts.auth.models import AccountSessions, RefreshToken, TokenFamily
from contexts.auth.services.customers import CONTEXT, customer_with, locked_customer
from shop.contract import Principal
from shop.events import publish
from shop.gateway.tokens import LIFETIME, TokenInvalidError, mint
from shop.http.limits import SignInAttempts
from shop.sharding import alias_of, new_id, shard_atomic
from shop.sharding.public_ids import InvalidPublicId, number_of
from shop.sharding.together import insert_together
from shop.staff.accounts import InvalidCredentialsError, active_account, sign_in, verify_password

SECRET_BYTES: Final = 32
MAX_LENGTH: Final = 200
PURGE_BATCH: Final = 200

log = structlog.get_logger(__name__)


def sign_in_customer(*, email: str, password: str) -> Tokens:
    """Sign a customer in.

    Raises:
        InvalidCredentialsError: Unknown address or wrong password: one answer, the same work.
        RateLimitedError: Too many sign-ins with this address have failed.

    Database: two reads, then one transaction on the customer's shard.
    """
    attempts = SignInAttempts(kind="customer", account=fold_email(email))
    attempts.admit()
    customer = customer_with(email)
    if not verify_password(password, customer.password if customer else None) or customer is None:
        attempts.failed()
        raise InvalidCredentialsError(detail="unknown e-mail or wrong password")
    with shard_atomic(CONTEXT, customer.pk):
        now = locked_customer(customer.pk)
        if now is None or now.password != customer.password:
            raise InvalidCredentialsError(detail="unknown e-mail or wrong password")
        family, refresh = _open(customer.pk, TokenFamily.Role.CUSTOMER)
    return _tokens(_principal(family), refresh)


def sign_in_staff(*, email: str, password: str) -> Tokens:
    """Sign a member of staff in.

    Raises:
        InvalidCredentialsError: Unknown address, wrong password or switched off.
        RateLimitedError: Too many sign-ins with this address have failed.

    Database: reads at the staff home, then one transaction on the shard of the account's ID.
    """
    account = sign_in(email=email, password=password)
    with shard_atomic(CONTEXT, account.pk):
        family, refresh = _open(account.pk, TokenFamily.Role.STAFF)
    return _tokens(_principal(family), refresh)


def _open(account_id: int, role: TokenFamily.Role) -> tuple[TokenFamily, str]:
    """A new family and its first token, in the open transaction."""
    now = datetime.now(UTC)
    family = TokenFamily(
        id=new_id(CONTEXT, near=account_id),
        account_id=account_id,
        role=role,
        created_at=now,
        expires_at=now + REFRESH_LIFETIME,
    )
    token, refresh = _new_token(family)
    insert_together(family, token)
    return family, refresh


def refresh_tokens(*, refresh: str) -> Tokens:
    """Use a refresh token up and give its successor. Staff roles are those of this moment.

    Raises:
        TokenInvalidError: Unknown, expired, revoked, or of an account that is switched off.
        TokenReusedError: It was used before; its whole family is revoked now.

    Emits: SessionsRevoked, at reuse.
    Database: one transaction on the account's shard.
    """
    family, digest = _presented(refresh)
    principal = _principal(family)
    with shard_atomic(CONTEXT, family.pk):
        successor = _rotate(family, digest)
        if successor is None:
            end_sign_ins(family.account_id, family.role, pk=family.pk)
    if successor is None:
        log.warning("refresh_token_reused", account=str(family.account_id), session=family.session_id)
        raise TokenReusedError(detail="this refresh token was used before; sign in again")
    return _tokens(principal, successor)


def revoke_sign_in(*, refresh: str) -> None:
    """Log out: end the sign-in that a refresh token, used or not, belongs to. An unknown one is no error.

    Emits: SessionsRevoked. Database: one transaction on the account's shard. Safe to repeat: yes.
    """
    try:
        family, digest = _presented(refresh)
    except TokenInvalidError:
        return
    with shard_atomic(CONTEXT, family.pk):
        if RefreshToken.objects.filter(family_id=family.pk, secret_hash=digest).exists():
            end_sign_ins(family.account_id, family.role, pk=family.pk)


def end_staff_sign_ins(account_id: int) -> None:
    """End all sign-ins of a member of staff, who is locked out. If that fails, access tokens last their five minutes.

    Emits: SessionsRevoked, if any was alive. Database: one transaction on the account's shard. Safe to repeat: yes.
    """
    with shard_atomic(CONTEXT, account_id):
        end_sign_ins(account_id, TokenFamily.Role.STAFF)


def purge_sessions(*, batch: int = PURGE_BATCH) -> int:
    """Forget families that have expired, and used tokens too old to be replayed; returns how many rows.

    Database: every shard, a transaction per batch and shard. Safe to repeat: yes.
    """
    now = datetime.now(UTC)
    gone = purge(TokenFamily.objects.filter(expires_at__lt=now), "expires_at", batch)
    return gone + purge(RefreshToken.objects.filter(used_at__lt=now - REFRESH_LIFETIME), "used_at", batch)


def purge(old: Any, age: str, batch: int) -> int:
    """Delete the rows ``old`` of all shards, the oldest by their field ``age`` first; returns how many rows went."""
    gone = 0
    while rows := old.across(partial=True).page(order=(age, "id"), limit=batch).rows:
        groups: dict[str, list[int]] = {}
        for row in rows:
            groups.setdefault(alias_of(CONTEXT, row.pk), []).append(row.pk)
        for keys in groups.values():
            with shard_atomic(CONTEXT, *keys):
                gone += old.filter(pk__in=keys).delete()[0]
    return gone


def _presented(refresh: str) -> tuple[TokenFamily, str]:
    """The family that a refresh token names, and the hash of its secret, not yet looked for."""
    name, _, secret = refresh.partition(".")
    if len(refresh) > MAX_LENGTH:
        _refuse()
    try:
        family_id = number_of(REFRESH_PREFIX, name)
    except InvalidPublicId:
        _refuse()
    family: TokenFamily | None = TokenFamily.objects.filter(pk=family_id).first()
    if family is None:
        _refuse()
    return family, _hash(secret)


def _rotate(family: TokenFamily, digest: str) -> str | None:
    """The successor of the token with this hash, or None if it was used before."""
    now = datetime.now(UTC)
    token = RefreshToken.objects.filter(family_id=family.pk, secret_hash=digest)
    if not token.filter(used_at=None).update(used_at=now):
        if not token.exists():
            _refuse()
        return None
    alive = TokenFamily.objects.filter(pk=family.pk, revoked_at=None, expires_at__gt=now)
    if not alive.update(expires_at=now + REFRESH_LIFETIME):
        _refuse()
    return _issue(family)


def _issue(family: TokenFamily) -> str:
    token, refresh = _new_token(family)
    token.save(force_insert=True)
    return refresh


def _new_token(family: TokenFamily) -> tuple[RefreshToken, str]:
    """A row that is not stored yet, and the token as its owner gets it."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = RefreshToken(id=new_id(CONTEXT, near=family.pk), family_id=family.pk, secret_hash=_hash(secret))
    return row, f"{family.session_id}.{secret}"


def end_sign_ins(account_id: int, role: str, **which: int) -> None:
    """End an account's sign-ins that are alive, all or those named, and tell once; in the open transaction."""
    families = TokenFamily.objects.on(account_id).filter(account_id=account_id, role=role, revoked_at=None, **which)
    ended = list(families.select_for_update().order_by("pk"))  # the order in which everybody locks them
    if not ended:
        return
    keys = [family.pk for family in ended]
    TokenFamily.objects.on(account_id).filter(pk__in=keys).update(revoked_at=datetime.now(UTC))
    account, _ = AccountSessions.objects.select_for_update().get_or_create(id=account_id)
    account.event_seq += 1
    account.save(update_fields=("event_seq",))
    names = tuple(family.session_id for family in ended)
    publish(SessionsRevoked(account_id=str(account_id), session_ids=names), seq=account.event_seq)


def _principal(family: TokenFamily) -> Principal:
    """Whom tokens of this family stand for, now."""
    if family.role == TokenFamily.Role.CUSTOMER:
        return Principal(id=str(family.account_id), role="customer", session_id=family.session_id)
    account = active_account(family.account_id)
    if account is None:
        _refuse()
    return account.principal(family.session_id)


def _tokens(principal: Principal, refresh: str) -> Tokens:
    return Tokens(access=mint(principal), refresh=refresh, expires_in=int(LIFETIME.total_seconds()))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _refuse() -> NoReturn:
    raise TokenInvalidError(detail="not a refresh token that is still good")
