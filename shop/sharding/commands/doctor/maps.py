"""A context's map against what its databases say they own, which is the truth."""

from collections.abc import Iterator, Mapping

from shop.sharding.commands.doctor.words import Finding
from shop.sharding.commands.places import Slices
from shop.sharding.databases import aliases_of, home_of
from shop.sharding.ids import BUCKETS, HOME_SLICE
from shop.sharding.models import Shard, ShardSlice
from shop.sharding.slices import runs
from shop.sharding.stored_map import Entry, StoredMap, gaps_and_overlaps, shown


def check_map(stored: StoredMap, slices: Mapping[str, Slices]) -> Iterator[Finding]:
    """The map by itself, each database's slices by themselves, and one against the other."""
    context, rebuild = stored.context, f"run `manage.py shards rebuild-map {stored.context}`"
    for fault in stored.faults():
        do = f"put its URL back to its place in {context.upper()}_DATABASES" if "no such place" in fault else rebuild
        yield Finding(check="map", place=context, what=fault, do=do)
    ahead = [entry for entry in stored.entries if stored.epoch and entry.epoch > stored.epoch]
    for entry in ahead[:1]:
        what = f"{shown(entry.lo, entry.hi)} are of epoch {entry.epoch}, the map itself of {stored.epoch}"
        yield Finding(check="epoch", place=context, what=what, do=rebuild)
    for each in slices.values():
        if each.introduced:
            yield from _slices_alone(each)
        if each.epoch > stored.epoch > 0:
            what = f"it knows epoch {each.epoch}, the map is of {stored.epoch}: buckets were given up or taken since"
            do = f"let the move that did it end; if none is under way, {rebuild}"
            yield Finding(check="epoch", place=each.alias, what=what, do=do)
    if set(slices) == set(aliases_of(context)):
        yield from _owners(stored, slices, rebuild)


def check_home(context: str) -> Iterator[Finding]:
    """What the home keeps besides: its own slice, and who it knows. Database: the home."""
    home = home_of(context)
    own = ShardSlice.objects.using(home).filter(lo=HOME_SLICE).values_list("owned", flat=True).first()
    if not own:
        what = "it does not own what the context does not shard: no process can begin there"
        do = "let the move that took it end; if none is under way, mark slice 4096 owned in shop_shardslice"
        yield Finding(check="home", place=home, what=what, do=do)
    known = set(Shard.objects.using(home).filter(uuid__isnull=False).values_list("alias", flat=True))
    for alias in sorted(known - set(aliases_of(context))):
        what = f"the home knows {alias}, and {context.upper()}_DATABASES has no such place any more"
        yield Finding(check="settings", place=context, what=what, do="put its URL back to its place")


def _slices_alone(each: Slices) -> Iterator[Finding]:
    faults = list(gaps_and_overlaps([Entry(lo, hi, each.alias, epoch) for lo, hi, _, epoch in each.rows]))
    if faults:
        what = f"its own list of slices can't be right: {faults[0]}"
        do = "what it says nothing of, it refuses: restore shop_shardslice of this database from a backup"
        yield Finding(check="slices", place=each.alias, what=what, do=do)


def _owners(stored: StoredMap, slices: Mapping[str, Slices], rebuild: str) -> Iterator[Finding]:
    by_bucket = owners_by_bucket(slices)
    for lo, hi, owners in runs(by_bucket):
        if len(owners) > 1:
            what = f"{shown(lo, hi)} have two owners: {' and '.join(owners)}"
            do = "stop the shop; find out which one has the newer rows; let the other give them up (shop_shardslice)"
            yield Finding(check="owners", place=stored.context, what=what, do=do)
        elif not owners:
            what = f"nobody owns {shown(lo, hi)}: who writes there waits, and is answered 503"
            do = "let the move that is under way end; if none is, let the database that has the rows own them"
            yield Finding(check="owners", place=stored.context, what=what, do=do)
    if stored.faults():
        return
    said = [""] * BUCKETS
    for entry in stored.entries:
        said[entry.lo : entry.hi + 1] = [entry.alias] * (entry.hi + 1 - entry.lo)
    for lo, hi, (mapped, owners) in runs(list(zip(said, by_bucket, strict=True))):
        if len(owners) == 1 and owners[0] != mapped:
            what = f"the map gives {shown(lo, hi)} to {mapped}; {owners[0]} owns them"
            yield Finding(check="owners", place=stored.context, what=what, do=rebuild)


def owners_by_bucket(slices: Mapping[str, Slices]) -> list[tuple[str, ...]]:
    """Who says that it owns a bucket, by bucket."""
    found: list[list[str]] = [[] for _ in range(BUCKETS)]
    for alias, each in slices.items():
        for lo, hi in each.owned:
            for bucket in range(lo, hi + 1):
                found[bucket].append(alias)
    return [tuple(owners) for owners in found]
