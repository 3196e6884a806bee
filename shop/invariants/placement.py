"""Invariant 12: every row is on the shard that owns its bucket, and only there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Final

from django.apps import apps
from django.db.models import F, Model, QuerySet

from shop.invariants.registry import invariant
from shop.invariants.windows import Window, windows
from shop.invariants.words import Check, Finding, shown
from shop.sharding import BUCKETS, alias_of, aliases_of, bucket_of, context_of_alias, hash_bucket, shard_map
from shop.sharding.databases import owner_of
from shop.sharding.ids import BUCKET_SHIFT
from shop.sharding.models import PlacedModel, ShardSlice, UniqueValue
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import owned
from shop.sharding.sharded import ShardedModel, context_of_model, shard_key_fields

WINDOW: Final = 5_000


def declare_placement() -> None:
    """The kernel's `apps` comes in here."""
    invariant(
        "12",
        "every row is on the shard that owns its bucket, and only there",
        Check(places=all_aliases, parts=_slices, look=disputed),
        *(_all_rows(model, partial(astray, model)) for model in placed_models()),
        _all_rows(UniqueValue, beside_their_hash),
    )


def placed_models() -> list[type[Model]]:
    """Tables whose rows lie by the bucket of their ID: those of the contexts hosted here, and the kernel's."""
    return [
        model
        for model in apps.get_models()
        if issubclass(model, PlacedModel) or (issubclass(model, ShardedModel) and owner_of(model._meta.app_label))
    ]


def _all_rows(model: type[Model], look: Callable[[Window], Iterable[Finding]]) -> Check[Window]:
    """Every row of the table in every database that has it, owned there or not."""

    def places() -> Sequence[str]:
        return all_aliases() if issubclass(model, PlacedModel) else aliases_of(context_of_model(model))

    def parts(alias: str) -> Iterator[Window]:
        return windows(model._default_manager.all(), alias, WINDOW)

    return Check(places=places, parts=parts, look=look)


def astray(model: type[Model], window: Window) -> Iterator[Finding]:
    """Rows in buckets that the database does not own, and rows one of whose shard keys lies in another bucket."""
    here = owned(shard_map(context_of_alias(window.alias)), window.alias)
    rows = window.all_of(model)
    yield from _strays(model, window.alias, rows.exclude(here))
    for name in sorted(shard_key_fields(model) - {model._meta.pk.attname}):
        apart = rows.annotate(own=_bucket("pk"), other=_bucket(name)).exclude(own=F("other"))
        for key, other in apart.order_by("pk").values_list("pk", name):
            detail = f"its {name} lies in bucket {bucket_of(other)}, itself in bucket {bucket_of(key)}"
            yield Finding(ids=(shown(model, key),), detail=detail)


def _bucket(name: str) -> Any:
    return F(name).bitrightshift(BUCKET_SHIFT)


def _strays(model: type[Model], alias: str, rows: QuerySet[Any]) -> Iterator[Finding]:
    context = context_of_alias(alias)
    for key in rows.order_by("pk").values_list("pk", flat=True):
        owner = alias_of(context, key)
        twice = model._default_manager.using(owner).filter(pk=key).exists()
        detail = f"is on {alias}; bucket {bucket_of(key)} is {owner}'s, where it is {'too' if twice else 'not'}"
        yield Finding(ids=(shown(model, key),), detail=detail)


def beside_their_hash(window: Window) -> Iterator[Finding]:
    """Unique values in another bucket than that of their hash, where nobody looks for them."""
    for key, kind, value in window.all_of(UniqueValue).values_list("pk", "kind", "value"):
        if bucket_of(key) != hash_bucket(kind, value):
            detail = f"its {kind} belongs in bucket {hash_bucket(kind, value)}, it is in bucket {bucket_of(key)}"
            yield Finding(ids=(shown(UniqueValue, key),), detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """What a database says it owns."""

    alias: str
    rows: int


def _slices(alias: str) -> Iterator[Slices]:
    yield Slices(alias=alias, rows=ShardSlice.objects.using(alias).filter(lo__lt=BUCKETS).count())


def disputed(part: Slices) -> Iterator[Finding]:
    """Buckets of which the database and the map at its home say different things."""
    said: dict[int, list[bool]] = {bucket: [] for bucket in range(BUCKETS)}
    for row in ShardSlice.objects.using(part.alias).filter(lo__lt=BUCKETS):
        for bucket in range(row.lo, row.hi + 1):
            said[bucket].append(row.owned)
    owners = shard_map(context_of_alias(part.alias))
    for (owner, found), group in groupby(said, lambda bucket: (owners.alias_of_bucket(bucket), said[bucket])):
        if found != [owner == part.alias]:
            buckets = list(group)
            detail = f"the map gives them to {owner}; {part.alias} says {_words(found)}"
            yield Finding(ids=(f"{part.alias}: buckets {buckets[0]}-{buckets[-1]}",), detail=detail)


def _words(found: Sequence[bool]) -> str:
    return " and ".join("that it owns them" if mine else "that it does not" for mine in found) or "nothing"
