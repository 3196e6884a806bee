"""What was found, for people: a table of what was measured and a plot; for programs: JSON."""

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.table import Table

from scripts.benches.figures import Figure
from scripts.benches.shards.figures import Found, costs
from scripts.benches.shards.stand import CASES, OnShards

LINES: Final = {"order": "GET order", "place": "place order", "spread": "place order, baskets of real invoices"}


def as_json(found: Found, board: list[Figure], *, quick: bool) -> dict[str, Any]:
    """Everything, down to the single samples."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "quick": quick,
        "figures": [{**asdict(each), "met": each.met if each.budget is not None else None} for each in board],
        "shards": {str(count): _without_secrets(asdict(each)) for count, each in found.items()},
    }


def _without_secrets(found: dict[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "told": {name: value for name, value in found["told"].items() if name not in {"tokens", "aliases"}},
    }


def measured(found: Found) -> Table:
    """CPU time and rate of each case with each number of shards."""
    table = Table(title="CPU time of servers and PostgreSQL per request in µs (per second): medians of the rounds")
    table.add_column("")
    for count in found:
        table.add_column(f"{count} shards" if count > 1 else "1 shard", justify="right")
    for case in CASES:
        table.add_row(LINES[case], *(_cost(on, case) for on in found.values()))
    table.add_row("at rest, CPU %", *(f"{median(on.at_rest):.1%}" for on in found.values()))
    table.add_row("looked up in the map, placing / reading, at µs", *(_lookups(on.told) for on in found.values()))
    table.add_row("guard and fence, placing", *(f"{median(on.told['protection_us']):.0f}" for on in found.values()))
    for name, words in (("across_work", "each at work for 20 ms"), ("across", "nothing but answers")):
        table.add_row(f"across all, {words}: ms (slowest alone)", *(_times(on.told[name]) for on in found.values()))
    return table


def _cost(on: OnShards, case: str) -> str:
    return f"{median(costs(on, case)):,.0f} ({median(each[case].rate for each in on.rounds):,.0f})"


def _lookups(told: dict[str, Any]) -> str:
    times = told["lookups"]
    return f"{times['place']} / {times['order']} at {told['lookup_us']:.2f}"


def _times(pairs: list[list[float]]) -> str:
    everywhere, slowest = (median(each) * 1000 for each in zip(*pairs, strict=True))
    return f"{everywhere:.1f} ({slowest:.1f})"


def plot(path: Path, found: Found) -> None:
    """Draw what a request costs over the number of shards, and what asking all of them takes, into a PNG."""
    import matplotlib as mpl  # noqa: PLC0415  a second to load: after the measuring

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  the same

    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 6), layout="constrained")
    for case, words in LINES.items():
        left.plot(list(found), [median(costs(on, case)) for on in found.values()], marker="o", label=words)
    for name, words in (("across_work", "20 ms of work on each"), ("across", "nothing but answers")):
        for place, whose, style in ((0, "all at once", "-"), (1, "the slowest alone", ":")):
            times = [median(pair[place] for pair in on.told[name]) * 1000 for on in found.values()]
            right.plot(list(found), times, style, marker="o", label=f"{words}: {whose}")
    for axes, title, unit in ((left, "What a request costs", "µs of CPU time"), (right, "Asking every shard", "ms")):
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(found), [str(count) for count in found])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("shards")
        axes.set_ylabel(unit)
        axes.set_title(title)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
