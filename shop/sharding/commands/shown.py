"""The reports for people: tables that fit the terminal, numbers that can be read."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

UNKNOWN: Final = "?"
KILO: Final = 1024
MOST_SLICES: Final = 6


def printed(*parts: RenderableType) -> str:
    """What a terminal of this width would show; lines end where their text ends."""
    console = Console(highlight=False)
    with console.capture() as shown:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in shown.get().splitlines())


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without lines; columns named in ``right`` hold numbers."""
    made, numbers = Table(box=None, pad_edge=False), set(right)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return made


def sized(count: float | None) -> str:
    """Bytes as people say them."""
    if count is None:
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if count < 10 * KILO:
            return f"{count:,.0f} {unit}"
        count /= KILO
    return f"{count:,.0f} TB"


def counted(count: int | None, *, exact: bool | None = True) -> str:
    """A number of things; one that comes from samples is marked."""
    if count is None:
        return UNKNOWN
    return f"{count:,}" if exact else f"~{count:,}"


def ranges(slices: Sequence[Sequence[int]] | None) -> str:
    """Slices of buckets, compactly."""
    if slices is None:
        return UNKNOWN
    shown = [f"{lo}-{hi}" if lo != hi else str(lo) for lo, hi in slices[:MOST_SLICES]]
    more = [f"and {len(slices) - MOST_SLICES} more"] if len(slices) > MOST_SLICES else []
    return " ".join([*shown, *more]) or "none"


def aged(seconds: float) -> str:
    """A time span in its largest unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def status_shown(report: dict[str, Any]) -> str:
    """`status`: a block per context."""
    return printed(*(part for each in report["contexts"] for part in _context(each)))


def _context(each: dict[str, Any]) -> Iterable[RenderableType]:
    yield Text(f"{each['context']}: map of epoch {each['epoch'] or UNKNOWN}")
    if each["fault"]:
        yield Text(f"  the map: {each['fault']}")
    numbers = ("buckets", "rows", "bytes", "requests", "in 1 min", "epoch")
    shards = table("shard", "slices", *numbers, right=numbers)
    for shard in each["shards"]:
        shards.add_row(*_shard(shard))
    yield shards
    for shard in each["shards"]:
        reason = f": {shard['reason']}" if shard["reason"] else ""
        yield Text(f"  {shard['alias']}: {shard['engine']} {shard['where']}{reason}")
    skews = [f"{measure} {value:.2f}" for measure, value in each["skew"].items() if value is not None]
    if skews:
        yield Text(f"skew (most over mean): {', '.join(skews)}")
    yield from _processes(each["processes"])
    yield Text("")


def _shard(shard: dict[str, Any]) -> Iterable[str]:
    return (
        f"{shard['alias']}{' (home)' if shard['home'] else ''}",
        ranges(shard["slices"]),
        counted(shard["buckets"]),
        counted(shard["rows"], exact=shard["rows_exact"]),
        sized(shard["bytes"]),
        counted(shard["requests"]),
        counted(shard["requests_last_minute"]),
        counted(shard["epoch"]),
    )


def _processes(processes: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    living = [process for process in processes if process["alive"]]
    if not living:
        yield Text("no process uses its map")
        return
    numbers = ("pid", "epoch")
    shown = table("process", "host", *numbers, "up", "last seen", "", right=numbers)
    for process in living:
        mark = "behind" if process["behind"] else ""
        times = (aged(process["up_seconds"]), f"{aged(process['seen_seconds'])} ago")
        shown.add_row(process["role"], process["host"], str(process["pid"]), str(process["epoch"]), *times, mark)
    yield shown
