"""`manage.py shards rebuild-map`: the map anew, from what each database says it owns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.db.models import Max

from shop.sharding.commands.asking import Refused, ask_each, reason_of
from shop.sharding.commands.doctor.maps import owners_by_bucket
from shop.sharding.commands.places import Slices, slices_of
from shop.sharding.databases import aliases_of, home_of
from shop.sharding.first_migrate import ForeignDatabase, check_identity, is_introduced, recognise
from shop.sharding.ids import BUCKETS
from shop.sharding.models import ShardEpoch, ShardMapEntry, ShardProcess
from shop.sharding.slices import publish_anew, runs
from shop.sharding.stored_map import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the map is made of: the epoch stored before, and what every database says since."""

    stored_epoch: int
    known_epoch: int
    slices: dict[str, Slices]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A map that can be written: owner and epoch of each bucket."""

    context: str
    epoch: int
    instead_of: int
    owners: Sequence[tuple[str, int]]
    changes: Sequence[dict[str, Any]]

    def report(self, *, written: bool) -> dict[str, Any]:
        """As JSON has it."""
        return {"context": self.context, "written": written, "epoch": self.epoch, "changes": self.changes}


def rebuild(context: str) -> Rebuilt:
    """The map by the slices, under a new epoch. Reads only.

    Database: all of the context, each by itself.

    Raises:
        Refused: A bucket has two owners or none, or a database can't be asked.
    """
    seen = _look(context)
    owners = owners_by_bucket(seen.slices)
    _refuse_disputed(context, owners)
    said = [(found[0], seen.slices[found[0]].epoch_of(bucket)) for bucket, found in enumerate(owners)]
    changes = _changes(context, [alias for alias, _ in said])
    stored, epoch = seen.stored_epoch, seen.known_epoch + 1
    return Rebuilt(context=context, epoch=epoch, instead_of=stored, owners=said, changes=changes)


def write(rebuilt: Rebuilt) -> str:
    """Publish it; why not, or nothing. Safe to repeat.

    Buckets that change hands meanwhile are no danger: their move publishes an epoch, and then nothing is written.

    Database: the home, one transaction.
    """
    try:
        if publish_anew(rebuilt.context, rebuilt.owners, epoch=rebuilt.epoch, instead_of=rebuilt.instead_of):
            return ""
    except DatabaseError as error:
        return f"{rebuilt.context}: {reason_of(error)}"
    return f"{rebuilt.context}: another map was published meanwhile: run it again"


def _look(context: str) -> Seen:
    home = home_of(context)
    try:
        recognise(home)
    except ForeignDatabase as foreign:
        raise Refused(str(foreign)) from foreign
    if not is_introduced(home):
        raise Refused(f"{home} was never migrated: run `manage.py migrate_contexts`")
    stored = _stored_epoch(context)  # before the slices: a map that is published after this is noticed
    answers = ask_each(aliases_of(context), _owned_by)
    if answers.missing:
        raise Refused(*(f"{alias} can't be asked what it owns: {why}" for alias, why in answers.missing.items()))
    slices = {alias: each for alias, each in answers.given.items() if each is not None}
    entries, processes = ShardMapEntry.objects.using(home), ShardProcess.objects.using(home)
    known = [
        stored,
        *(each.epoch for each in slices.values()),
        *(rows.aggregate(most=Max("epoch"))["most"] or 0 for rows in (entries, processes)),
    ]
    return Seen(stored_epoch=stored, known_epoch=max(known), slices=slices)


def _owned_by(alias: str) -> Slices | None:
    """What a database says; None of one that was never introduced.

    Raises:
        ForeignDatabase: It is another one: what it owns is not the alias's.
    """
    if not is_introduced(alias):
        return None
    check_identity(alias)
    return slices_of(alias)


def _stored_epoch(context: str) -> int:
    return ShardEpoch.objects.using(home_of(context)).values_list("epoch", flat=True).first() or 0


def _refuse_disputed(context: str, owners: Sequence[tuple[str, ...]]) -> None:
    reasons = [
        f"{context}: {shown(lo, hi)} {'belong to ' + ' and '.join(found) if found else 'belong to nobody'}"
        for lo, hi, found in runs(owners)
        if len(found) != 1
    ]
    if reasons:
        raise Refused(*reasons, "the map can't say what is not so: let the move that is under way end, or mend that")


def _changes(context: str, said: Sequence[str]) -> list[dict[str, Any]]:
    mapped = [""] * BUCKETS
    for lo, hi, alias in ShardMapEntry.objects.using(home_of(context)).values_list("lo", "hi", "alias"):
        mapped[lo : min(hi, BUCKETS - 1) + 1] = [alias] * (min(hi, BUCKETS - 1) + 1 - lo)
    return [
        {"lo": lo, "hi": hi, "before": before or None, "after": after}
        for lo, hi, (before, after) in runs(list(zip(mapped, said, strict=True)))
        if before != after
    ]
