"""Two parcels on two shards, and on each shard a copy of the other's rows, as while a slice moves.

Whatever looks at the wrong database sees "copy", whatever counts twice counts the copies.
"""

import ast
import copy
import pickle
import textwrap
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from asgiref.sync import async_to_sync
from django.db import IntegrityError, models, transaction
from django.db.models import (
    FETCH_PEERS,
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    Model,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Window,
    prefetch_related_objects,
)
from django.db.models.functions import Rank, Upper

from shop.sharding import alias_of, new_id, scatter, shard_atomic, shard_map
from shop.sharding.models import ShardMapEntry
from shop.sharding.shard_map import forget_shard_map
from shop.sharding.slices import changing_slices, publish, set_owned
from tests.kernel.probes import (
    ALIASES,
    CONTEXT,
    SHARDED,
    Item,
    Note,
    Notice,
    Parcel,
    Sticker,
    Stuck,
    copy_to,
    parcel_in,
)
from tests.kernel.router.cases import Case

WORDS = {Parcel: "label", Item: "name", Note: "text", Sticker: "colour", Stuck: None, Notice: "text"}
type Rows = dict[str, dict[tuple[str, int], dict[str, Any]]]


class World:
    """The rows, and the names that cases use.

    Args:
        buckets: Tea's, and far's on the other shard.
    """

    def __init__(self, buckets: tuple[int, int]) -> None:
        self.tea, self.far = (_parcel(bucket, label) for bucket, label in zip(buckets, ("tea", "far"), strict=True))
        self.here, self.there = (alias_of(CONTEXT, parcel.pk) for parcel in (self.tea, self.far))
        for owner, other in ((self.here, self.there), (self.there, self.here)):
            for model in SHARDED:
                copy_to(other, *_as_copies(model.objects.owned_by(owner)))
        self.names: dict[str, Any] = {**_words(), **self._words()}

    def _words(self) -> dict[str, Any]:
        def near(parcel: Parcel) -> int:
            return new_id(CONTEXT, near=parcel.pk)

        def row(model: type[Model], key: int) -> Model | None:
            return model._base_manager.using(self.here).filter(pk=key).first()

        cup, pot = Item.objects.filter(parcel=self.tea).order_by("name")
        own = {"tea": self.tea, "far": self.far, "here": self.here, "there": self.there, "cup": cup, "pot": pot}
        far_cup = Item.objects.get(parcel=self.far, name="cup")
        red, slip = self.tea.stickers.get(), self.tea.notes.get()
        stale = Parcel.objects.using(self.there).get(pk=self.tea.pk)
        more = {"far_cup": far_cup, "red": red, "slip": slip, "stale": stale}
        return {**own, **more, "new_id": near, "row": row, "moved": self.move}

    def move(self, parcel: Parcel) -> None:
        """Give the buckets of ``parcel``'s shard to the other one, which has copies of its rows."""
        owners = {self.here: self.there, self.there: self.here}
        entries = ShardMapEntry.objects.using(f"{CONTEXT}_0").filter(alias__in=owners)
        for lo, hi, owner in [(entry.lo, entry.hi, entry.alias) for entry in entries]:
            epoch = publish(CONTEXT, lo, hi, owners[owner])
            for alias in ALIASES:
                with changing_slices(alias):
                    set_owned(alias, lo, hi, owned=alias == owners[owner], epoch=epoch)
        forget_shard_map(CONTEXT)

    def transaction(self, case: Case) -> AbstractContextManager[Any]:
        """The transaction that the case is written in."""
        parcels = {"tea's shard": self.tea, "far's shard": self.far}
        return shard_atomic(CONTEXT, parcels[case.inside].pk) if case.inside in parcels else nullcontext()

    def run(self, code: str) -> Any:
        """What ``code`` answers with, read to the end."""
        return plain(_function(code, self.names)())

    def rows(self) -> Rows:
        """All rows of all databases, as they are."""
        return {
            alias: {(model.__name__, each["id"]): each for model in SHARDED for each in _raw(model, alias)}
            for alias in ALIASES
        }

    def not_teas(self, rows: Rows) -> Rows:
        """Of all rows those that no case about tea may change: another bucket's, and what lies on another database."""
        mine = shard_map(CONTEXT).slices_of(self.here)
        lows = [(lo << 51, (hi + 1) << 51) for lo, hi in mine]
        return {
            alias: {k: v for k, v in found.items() if alias != self.here or not any(a <= k[1] < b for a, b in lows)}
            for alias, found in rows.items()
        }


def _parcel(bucket: int, label: str) -> Parcel:
    parcel = parcel_in(bucket, label=label, weight=5)
    with shard_atomic(CONTEXT, parcel.pk):
        for name in ("cup", "pot"):
            Item.objects.create(id=new_id(CONTEXT, near=parcel.pk), parcel=parcel, name=f"{name}")
        Note.objects.create(id=new_id(CONTEXT, near=parcel.pk), parcel=parcel, text=f"slip of {label}")
        sticker = Sticker.objects.create(id=new_id(CONTEXT, near=parcel.pk), colour=f"red of {label}")
        Stuck.objects.create(id=new_id(CONTEXT, near=parcel.pk), parcel=parcel, sticker=sticker)
    return parcel


def _as_copies(rows: Iterable[Model]) -> Iterable[Model]:
    for row in rows:
        if word := WORDS[type(row)]:
            setattr(row, word, "copy")
        yield row


def _raw(model: type[Model], alias: str) -> Iterable[dict[str, Any]]:
    return QuerySet(model, using=alias).values()


def _words() -> dict[str, Any]:
    django = (
        Count,
        Exists,
        F,
        FilteredRelation,
        Max,
        OuterRef,
        Prefetch,
        Q,
        QuerySet,
        Subquery,
        Sum,
        Window,
        Rank,
        Upper,
    )
    names = {each.__name__: each for each in (*django, *SHARDED, Notice, IntegrityError)}
    modules = {"models": models, "transaction": transaction, "pickle": pickle, "copy": copy, "scatter": scatter}
    ours = {"shard_atomic": shard_atomic, "CONTEXT": CONTEXT, "FETCH_PEERS": FETCH_PEERS}
    return {**names, **modules, **ours, "prefetch_related_objects": prefetch_related_objects}


def _function(code: str, names: Mapping[str, Any]) -> Callable[[], Any]:
    """``code`` as a function that answers with its last expression; one that awaits is run to its end."""
    is_async = "await " in code or "async " in code
    tree = ast.parse("async def case(): pass" if is_async else "def case(): pass")
    body = ast.parse(f"async def case():\n{textwrap.indent(code, ' ')}").body[0].body  # type: ignore[attr-defined]
    if isinstance(body[-1], ast.Expr):
        body[-1] = ast.Return(body[-1].value)
    tree.body[0].body = body  # type: ignore[attr-defined]
    known = dict(names)
    exec(compile(ast.fix_missing_locations(tree), code, "exec"), known)  # noqa: S102  code of the table
    case = known["case"]
    return async_to_sync(case) if is_async else case


def plain(value: Any) -> Any:
    """``value`` to compare: a row with what it says, so that a copy is not the same."""
    if isinstance(value, Model):
        word = WORDS[type(value)]
        return (type(value).__name__, value.pk, getattr(value, word) if word else None)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, str | bytes | int | float | None):
        return value
    return [plain(each) for each in value] if isinstance(value, Iterable) else value
