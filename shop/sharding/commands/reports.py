"""What `doctor`, `add`, `plan` and `rebuild-map` found and did, for people."""

from collections.abc import Iterator
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from shop.sharding.commands.shown import counted, printed, sized, table
from shop.sharding.stored_map import shown

MOST_CHANGES: Final = 20


def examined_shown(report: dict[str, Any]) -> str:
    """`doctor`: each finding with all places where it was made, and below it what to do."""
    return printed(*_examined(report))


def _examined(report: dict[str, Any]) -> Iterator[RenderableType]:
    places: dict[tuple[str, str], list[str]] = {}
    for each in report["findings"]:
        places.setdefault((each["what"], each["do"]), []).append(each["place"])
    for (what, do), found in places.items():
        yield Text(f"{', '.join(found)}: {what}")
        yield Text(f"  -> {do}")
    for each in report["unasked"]:
        yield Text(f"{each['database']} could not be asked: {each['reason']}")
    for note in report["notes"]:
        yield Text(note)
    if report["well"]:
        yield Text("all is well")


def added_shown(report: dict[str, Any]) -> str:
    """`add`: what is there now, and what comes next."""
    context, setting = report["context"], f"{report['context'].upper()}_DATABASES"
    if not report["added"]:
        return f"nothing to add: every database of {setting} is known"
    if not report["written"]:
        return "nothing was written"
    return "\n".join(
        [
            *report["notes"],
            f"{', '.join(report['added'])}: added, without traffic. Restart every process with the same {setting}:",
            f"one with the old list could not follow a map that names it. Then: manage.py shards plan {context}",
        ]
    )


def plan_shown(report: dict[str, Any]) -> str:
    """`plan`: the moves, then before and after."""
    return printed(*_plan(report))


def _plan(report: dict[str, Any]) -> Iterator[RenderableType]:
    by = report["by"]
    if by == "buckets":
        yield Text(f"{report['context']} has no rows yet: by number of buckets")
    moves = table("", "buckets", "", "from", "to", by, right=("", by))
    for number, move in enumerate(report["moves"], start=1):
        load = _measured(move["load"], by, exact=report["exact"])
        span = f"{move['lo']}-{move['hi']}"
        moves.add_row(str(number), span, f"{move['buckets']:,}", move["from"], move["to"], load)
    if report["moves"]:
        yield moves
        yield Text("")
    columns = (f"{by} before", "after", "buckets before", "after")
    shards = table("shard", *columns, right=columns)
    for shard in report["shards"]:
        loads = [_measured(shard[when], by, exact=report["exact"]) for when in ("before", "after")]
        shards.add_row(shard["alias"], *loads, counted(shard["buckets_before"]), counted(shard["buckets_after"]))
    yield shards
    yield Text(f"skew (most over mean): {report['skew_before']:.2f} before, {report['skew_after']:.2f} after")
    if report["heaviest"]:
        heaviest = _measured(report["heaviest"]["load"], by, exact=report["exact"])
        yield Text(f"bucket {report['heaviest']['bucket']} alone has {heaviest}: no move divides a bucket")
    if report["moves"]:
        yield Text("nothing has moved: moving buckets is not built yet, this is what it will be asked for")
    else:
        yield Text("no move is worth it")


def _measured(load: int, by: str, *, exact: bool) -> str:
    return sized(load) if by == "bytes" else counted(load, exact=exact or by != "rows")


def rebuilt_shown(report: dict[str, Any]) -> str:
    """`rebuild-map`: what is different from the map before."""
    return "\n".join(line for each in report["maps"] for line in _rebuilt(each))


def _rebuilt(each: dict[str, Any]) -> Iterator[str]:
    for change in each["changes"][:MOST_CHANGES]:
        buckets = shown(change["lo"], change["hi"])
        yield f"{each['context']}: {buckets}: {change['before'] or 'nobody'} -> {change['after']}"
    if len(each["changes"]) > MOST_CHANGES:
        yield f"{each['context']}: and {len(each['changes']) - MOST_CHANGES} more"
    if not each["changes"]:
        yield f"{each['context']}: the map says what the databases say"
    done = "written, every process reads it within a second" if each["written"] else "nothing was written"
    yield f"{each['context']}: epoch {each['epoch']}: {done}"
