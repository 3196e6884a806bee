"""Idempotency-Key: claim → effect under the claimed ID → answer kept. The gateway's pipeline claims and keeps.

The claim commits before the effect begins and names the ID the effect's row will have. So whoever takes a lapsed claim
over finds its own effect, and no moment of a crash makes two.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from shop.contract import ConflictError, InvalidError, Principal
from shop.events import one_by_one
from shop.http.giving_up import giving_up
from shop.http.models import IdempotencyClaim
from shop.http.problems import IN_PROGRESS
from shop.sharding import (
    alias_of,
    aliases_of,
    bucket_of,
    current_scope,
    hash_bucket,
    key_of_bucket,
    new_id,
    shard_atomic,
    shard_map,
)
from shop.sharding.scatter import owned
from shop.sharding.together import change_with_next, insert_if_new

LEASE_SECONDS: Final = 30
KEPT_HOURS: Final = 24
BATCH: Final = 500
KEPT_STATUS: Final = frozenset({402, 404, 409})
KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location")


class InProgressError(ConflictError):
    """The first request with this key is still being worked on."""

    code = IN_PROGRESS


class KeyReusedError(InvalidError):
    """The key came before with another request."""

    code = "idempotency_key_reused"


@dataclass(slots=True, kw_only=True)
class Claim:
    """A key this request works on.

    Attributes:
        resource_id: The ID that the thing to be made must have.
        repeated: Whether somebody worked on it before, so that the thing may be there.
        answer: Set once the answer is kept.
        secret: The answer holds a secret and is not to be kept: a repetition makes it anew, from the same effect.
    """

    context: str
    shard_key: int
    row_id: int
    token: uuid.UUID
    resource_id: int
    repeated: bool
    answer: HttpResponse | None = field(default=None)
    secret: bool = False

    def keep(self, response: HttpResponse) -> None:
        """Store the answer, in the open transaction if that is on the claim's shard."""
        with shard_atomic(self.context, self.shard_key):
            change_with_next(
                IdempotencyClaim,
                {"id": self.row_id, "lease_token": self.token},
                state=IdempotencyClaim.State.DONE,
                status=response.status_code,
                body=response.content,
                headers={name: response[name] for name in KEPT_HEADERS if name in response},
            )

    def keep_within(self, response: HttpResponse) -> None:
        """Store the answer together with its effect, if the open transaction is on the claim's shard."""
        scope = current_scope()
        if scope is not None and scope.alias == alias_of(self.context, self.shard_key):
            self.keep(response)
            scope.on_commit(lambda: setattr(self, "answer", response))  # a rollback takes the answer back too

    def place_at(self, near: int) -> None:
        """Let the thing to be made live where ``near`` does; the ID is stored before the effect begins.

        Raises:
            InProgressError: Another request has taken the claim over.
        """
        if bucket_of(self.resource_id) != bucket_of(near):
            self.resource_id = new_id(self.context, near=near)
            if not self._change(resource_id=self.resource_id):
                raise InProgressError(detail="another request with this key has taken over")

    def give_up(self) -> None:
        """Let the next request with the key start over under the same ID: this one broke off in the middle."""
        self._change(lease_until=datetime.now(UTC))

    def give_up_when_back(self) -> None:
        """The same, as soon as its shard answers again."""
        giving_up.later(alias_of(self.context, self.shard_key), self.give_up, seconds=LEASE_SECONDS)

    def withdraw(self) -> None:
        """Forget the key: nothing has happened."""
        with shard_atomic(self.context, self.shard_key) as scope:
            IdempotencyClaim.objects.using(scope.alias).filter(pk=self.row_id, lease_token=self.token).delete()

    def _change(self, **fields: object) -> int:
        with shard_atomic(self.context, self.shard_key) as scope:
            rows = IdempotencyClaim.objects.using(scope.alias)
            return rows.filter(pk=self.row_id, lease_token=self.token).update(**fields)


def claim(context: str, principal: Principal, key: str, fingerprint: str) -> Claim | HttpResponse:
    """Claim ``key`` for the request with this `fingerprint_of`, or give the answer that the first one got.

    Raises:
        InProgressError: The first one is still running.
        KeyReusedError: The first one was another request.
    """
    shard_key = principal.key
    if principal.role != "customer":
        shard_key = key_of_bucket(hash_bucket("principal", principal.id))
    who = {"principal": f"{principal.role}:{principal.id}", "key": key}
    held = _claim_of(context, shard_key, row := _new_row(context, shard_key, fingerprint, who))
    try:
        if insert_if_new(context, row):
            return held
    except (OperationalError, InterfaceError):
        held.give_up_when_back()  # it may be there all the same
        raise
    row = _taken_over(context, shard_key, fingerprint, who)
    if row.state == IdempotencyClaim.State.DONE:
        return _replay(row)
    return _claim_of(context, shard_key, row, repeated=True)


def _claim_of(context: str, shard_key: int, row: IdempotencyClaim, *, repeated: bool = False) -> Claim:
    return Claim(
        context=context,
        shard_key=shard_key,
        row_id=row.pk,
        token=row.lease_token,
        resource_id=row.resource_id,
        repeated=repeated,
    )


def _taken_over(context: str, shard_key: int, fingerprint: str, who: dict[str, str]) -> IdempotencyClaim:
    """The claim that is there, ours from now on if its lease has lapsed; one that is done stays as it is.

    Raises:
        InProgressError: Somebody works on it, or has withdrawn it just now.
        KeyReusedError: It is of another request.
    """
    with shard_atomic(context, shard_key) as scope:
        row = IdempotencyClaim.objects.using(scope.alias).filter(**who).select_for_update().first()
        if row is not None and row.fingerprint != fingerprint:
            raise KeyReusedError(detail="this Idempotency-Key was used for another request")
        done = row is not None and row.state == IdempotencyClaim.State.DONE
        if row is None or (not done and row.lease_until > datetime.now(UTC)):
            raise InProgressError(detail="the first request with this key is still running")
        if not done:
            row.lease_token, row.lease_until = uuid.uuid4(), _lease_end()
            row.save(using=scope.alias, update_fields=("lease_token", "lease_until"))
    return row


def finish(held: Claim, response: HttpResponse) -> HttpResponse:
    """Keep or drop the claim as the answer asks; returns what goes out."""
    if held.answer is not None:
        return held.answer
    try:
        if held.secret:
            held.give_up()
        elif response.status_code < HTTPStatus.MULTIPLE_CHOICES or response.status_code in KEPT_STATUS:
            held.keep(response)
        elif response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            held.give_up()
        else:
            held.withdraw()
    except (OperationalError, InterfaceError):
        held.give_up_when_back()
        raise
    return response


def resource_id(request: HttpRequest, context: str, *, near: int | None = None) -> int:
    """The ID for what this request makes: the claimed one, or a new one where no key was given.

    With ``near`` it lies in that ID's bucket, whoever the caller is; ask before the effect's transaction begins.
    """
    held: Claim | None = getattr(request, "claim", None)
    if held is None:
        return new_id(context, near=near)
    if near is not None:
        held.place_at(near)
    return held.resource_id


def is_repeated(request: HttpRequest) -> bool:
    """Whether an earlier request with the same key may have made already what this one is to make."""
    held: Claim | None = getattr(request, "claim", None)
    return held is not None and held.repeated


def never_kept(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """``response``, which holds a secret: under no key, in no database."""
    held: Claim | None = getattr(request, "claim", None)
    if held is not None:
        held.secret = True
    return response


def answering[V](request: HttpRequest, render: Callable[[V], HttpResponse]) -> Callable[[V], None]:
    """A callback for a use case: called with its result inside the effect's transaction, it keeps the answer there."""
    held: Claim | None = getattr(request, "claim", None)

    def keep(result: V) -> None:
        if held is not None:
            held.keep_within(render(result))

    return keep


def forget_old_claims(context: str) -> int:
    """Delete claims whose time is over, on every shard; returns how many. Database: a short transaction per batch."""
    before = datetime.now(UTC) - timedelta(hours=KEPT_HOURS)
    return one_by_one(aliases_of(context), lambda alias: _forget_on(context, alias, before))


def _forget_on(context: str, alias: str, before: datetime) -> int:
    gone = 0
    rows = IdempotencyClaim.objects.using(alias).filter(owned(shard_map(context), alias))
    while old := list(rows.filter(created_at__lt=before).values_list("pk", flat=True)[:BATCH]):
        with shard_atomic(context, old[0]):
            gone += rows.filter(pk__in=old).delete()[0]
    return gone


def _new_row(context: str, shard_key: int, fingerprint: str, who: dict[str, str]) -> IdempotencyClaim:
    return IdempotencyClaim(
        id=new_id(context, near=shard_key),
        fingerprint=fingerprint,
        lease_token=uuid.uuid4(),
        lease_until=_lease_end(),
        resource_id=new_id(context, bucket=bucket_of(shard_key)),
        created_at=datetime.now(UTC),
        **who,
    )


def _replay(row: IdempotencyClaim) -> HttpResponse:
    answer = HttpResponse(bytes(row.body), status=row.status, headers=row.headers)
    answer["Idempotent-Replay"] = "true"
    return answer


def _lease_end() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)


def fingerprint_of(request: HttpRequest) -> str:
    """What makes a request the same one again: method, address, body."""
    parts = (str(request.method), request.get_full_path())
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + request.body).hexdigest()
