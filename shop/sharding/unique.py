"""Values that are unique over all shards: reserve → create → confirm, without a two-phase commit.

1. `reserve` writes ``(kind, value) → target`` in the bucket of the value's hash.
2. The creator calls `mark_created` in the transaction that makes the target.
3. `confirm` closes it; `free` gives it back when the target is gone.

A crash after 1 or 2 leaves a dangling reservation. Whoever needs the value, or the sweeper, resolves it by inserting
the creator's mark as *void* under the same primary key: if that works the creator can't create any more and the value
is free; if not, the target exists and the reservation is confirmed. Who inserts the mark decides; no clock does.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import IntegrityError

from shop.contract import ConflictError, UnavailableError
from shop.sharding.databases import context_of_alias
from shop.sharding.generator import new_id
from shop.sharding.ids import hash_bucket, key_of_bucket
from shop.sharding.models import UniqueTarget, UniqueValue
from shop.sharding.scatter import owned
from shop.sharding.scope import required_scope, savepoint, shard_atomic
from shop.sharding.shard_map import alias_of, shard_map
from shop.sharding.statements import Statement

PATIENCE_SECONDS: Final = 3.0
DANGLING_SECONDS: Final = 10.0
LOOK_AGAIN_SECONDS: Final = 0.05
OWNER: Final = Statement.shared("SELECT target_id FROM shop_uniquevalue WHERE kind = %(kind)s AND value = %(value)s")


class ValueTaken(ConflictError):
    """Somebody else owns one of the values; ``values`` names them."""

    code = "value_taken"

    def __init__(self, values: list[str]) -> None:
        super().__init__(detail="already in use")
        self.values = values


class CreationVoided(UnavailableError):
    """This creation took so long that its reservation was given up."""

    code = "creation_voided"


def reserve(context: str, kind: str, targets: Mapping[str, int]) -> None:
    """Reserve every value for its target, or none. Repeatable by the same targets.

    Args:
        context: Whose values they are.
        kind: What they are: values of different kinds never meet.
        targets: Target ID by (normalised) value.

    Many are tried all at once, which waits for nobody. A value that somebody else is just creating is waited for, some
    seconds at most. All take values in one order then, so two who want the same ones never wait for each other.

    Raises:
        ValueTaken: Somebody else owns some of them.
    """
    if len(targets) > 1:
        try:
            reserve_many(context, kind, targets)
        except ValueTaken:
            release(context, kind, targets)
        else:
            return
    taken = {value for value, target in sorted(targets.items()) if not _reserve_one(context, kind, value, target)}
    if taken:
        release(context, kind, {value: target for value, target in targets.items() if value not in taken})
        raise ValueTaken(sorted(taken))


def _reserve_one(context: str, kind: str, value: str, target: int) -> bool:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = _insert_or_read(context, kind, value, target)
        if found.target_id == target:
            return True
        if found.state == UniqueValue.State.CONFIRMED:
            return False
        if time.monotonic() > give_up:
            resolve_dangling(context, found)
        else:
            time.sleep(LOOK_AGAIN_SECONDS)


def _insert_or_read(context: str, kind: str, value: str, target: int) -> UniqueValue:
    bucket = hash_bucket(kind, value)
    row = UniqueValue(
        id=new_id(context, bucket=bucket),
        kind=kind,
        value=value,
        target_id=target,
        state=UniqueValue.State.RESERVED,
        reserved_at=datetime.now(UTC),
    )
    while True:
        with shard_atomic(context, key_of_bucket(bucket)) as scope:
            rows = UniqueValue.objects.using(scope.alias)
            if found := rows.filter(kind=kind, value=value).first():
                return found
            try:
                with savepoint():
                    row.save(using=scope.alias, force_insert=True)
            except IntegrityError:
                continue  # another one was faster; read it
            return row


def reserve_many(context: str, kind: str, targets: Mapping[str, int]) -> None:
    """Like `reserve`, one transaction per shard; for loads. A value that is in use in any state counts as taken.

    Raises:
        ValueTaken: Some are in use for other targets, at least one of those named. Those reserved before stay
            reserved: repeat or `release`.
    """
    for alias, values in _by_alias(context, kind, targets).items():
        first = hash_bucket(kind, values[0])
        with shard_atomic(context, key_of_bucket(first)):
            rows = UniqueValue.objects.using(alias)
            known = dict(rows.filter(kind=kind, value__in=values).values_list("value", "target_id"))
            if taken := [value for value, target in known.items() if target != targets[value]]:
                raise ValueTaken(taken)
            new = [
                UniqueValue(
                    id=new_id(context, bucket=hash_bucket(kind, value)),
                    kind=kind,
                    value=value,
                    target_id=targets[value],
                    state=UniqueValue.State.RESERVED,
                    reserved_at=datetime.now(UTC),
                )
                for value in values
                if value not in known
            ]
            try:
                with savepoint():
                    rows.bulk_create(new)
            except IntegrityError:  # another one was faster with some of them
                raise ValueTaken([row.value for row in new]) from None


def mark_created(*targets: int) -> None:
    """Say, within the transaction that makes ``targets``, that they are made. Call it first.

    Raises:
        CreationVoided: A reservation was given up meanwhile; start over with new targets.
    """
    alias = required_scope("mark_created").alias
    try:
        with savepoint():
            marks = [UniqueTarget(id=target) for target in sorted(targets)]
            UniqueTarget.objects.using(alias).bulk_create(marks)
    except IntegrityError:
        raise CreationVoided(detail="it took too long; try again") from None


def confirm(context: str, kind: str, targets: Mapping[str, int]) -> None:
    """Close the reservations of targets that exist now. Safe to repeat."""
    for alias, values in _by_alias(context, kind, targets).items():
        with shard_atomic(context, key_of_bucket(hash_bucket(kind, values[0]))):
            UniqueValue.objects.using(alias).filter(
                kind=kind, value__in=values, target_id__in=[targets[value] for value in values]
            ).update(state=UniqueValue.State.CONFIRMED)


def release(context: str, kind: str, targets: Mapping[str, int]) -> None:
    """Give reservations back whose targets will not be made. Confirmed ones stay."""
    for alias, values in _by_alias(context, kind, targets).items():
        with shard_atomic(context, key_of_bucket(hash_bucket(kind, values[0]))):
            UniqueValue.objects.using(alias).filter(
                kind=kind,
                value__in=values,
                target_id__in=[targets[value] for value in values],
                state=UniqueValue.State.RESERVED,
            ).delete()


def free(context: str, target: int) -> int:
    """Give back the values of a target that is gone for good, whatever they are; returns how many. Safe to repeat.

    Database: every shard, a transaction for each value.
    """
    gone = 0
    for alias in shard_map(context).owners():
        rows = UniqueValue.objects.using(alias).filter(owned(shard_map(context), alias), target_id=target)
        for key in list(rows.values_list("pk", flat=True)):
            with shard_atomic(context, key) as scope:
                gone += UniqueValue.objects.using(scope.alias).filter(pk=key, target_id=target).delete()[0]
    return gone


def owner_of_value(context: str, kind: str, value: str) -> int | None:
    """Target of a value, reserved or confirmed: look whether it exists before you rely on it."""
    found = OWNER.read(context, key_of_bucket(hash_bucket(kind, value)), kind=kind, value=value)
    return int(found[0][0]) if found else None


def resolve_dangling(context: str, row: UniqueValue) -> None:
    """Finish a reservation whose creator seems dead: confirm it if the target was made, else free the value."""
    with shard_atomic(context, row.target_id) as scope:
        mark, _ = UniqueTarget.objects.using(scope.alias).get_or_create(id=row.target_id, defaults={"void": True})
    finish = release if mark.void else confirm
    finish(context, row.kind, {row.value: row.target_id})


def settle(context: str, kind: str, values: Iterable[str]) -> int:
    """Finish at once whatever is reserved of ``values`` and not confirmed; returns how many there were.

    For loads that start over: a creator that is still at work gets `CreationVoided`.
    """
    open_rows: list[UniqueValue] = []
    for alias, group in _by_alias(context, kind, values).items():
        rows = UniqueValue.objects.using(alias).filter(kind=kind, value__in=group)
        open_rows += rows.filter(state=UniqueValue.State.RESERVED)
    for row in open_rows:
        resolve_dangling(context, row)
    return len(open_rows)


def dangling(alias: str) -> list[UniqueValue]:
    """Reservations on ``alias`` that have been open for long, the oldest first."""
    before = datetime.now(UTC) - timedelta(seconds=DANGLING_SECONDS)
    here = UniqueValue.objects.using(alias).filter(owned(shard_map(context_of_alias(alias)), alias))
    rows = here.filter(state=UniqueValue.State.RESERVED, reserved_at__lt=before)
    return list(rows.order_by("reserved_at")[:100])


def _by_alias(context: str, kind: str, values: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for value in sorted(values):
        groups.setdefault(alias_of(context, key_of_bucket(hash_bucket(kind, value))), []).append(value)
    return groups
