"""What was found, for people: a table of what was measured and a plot; for programs: JSON."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.table import Table

from scripts.benches.events.stand import Flow, Found, Options
from scripts.benches.figures import Figure
from scripts.benches.show import draw_budgets

NAMES: Final = {
    "relay": "handed over",
    "handled": "handed over and handled",
    "with_row": "handed over and handled, each with a row",
}
PARTS: Final = {"relay_cpu_us": "relay", "workers_cpu_us": "workers", "database_cpu_us": "PostgreSQL"}


def as_json(found: Found, board: list[Figure], options: Options, *, quick: bool) -> dict[str, Any]:
    """Everything, down to the single samples."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "quick": quick,
        "workers": options.workers,
        "events": options.events,
        "figures": [{**asdict(each), "met": each.met if each.budget is not None else None} for each in board],
        "brokers": {name: asdict(at) for name, at in found.items()},
    }


def _flows(found: Found) -> Iterator[tuple[str, str, list[Flow]]]:
    for name, at in found.items():
        for case in NAMES:
            yield name, NAMES[case], [getattr(each, case) for each in at.rounds]


def measured(found: Found, options: Options) -> Table:
    """Rate and CPU time of each case over each broker."""
    table = Table(title=f"{options.events:,} events, {options.workers} processes that handle: medians of the rounds")
    for heading in ("", "by", "per second", *(f"{part}, CPU µs" for part in PARTS.values())):
        table.add_column(heading, justify="left" if heading in {"", "by"} else "right")
    for name, case, flows in _flows(found):
        rate = f"{median(flow.rate for flow in flows):,.0f}"
        table.add_row(case, name, rate, *(_cost(flows, part) for part in PARTS))
    return table


def _cost(flows: list[Flow], part: str) -> str:
    known = [value for flow in flows if (value := getattr(flow, part)) is not None]
    return f"{median(known):.0f}" if known else ""


def plot(path: Path, found: Found, board: list[Figure]) -> None:
    """Draw the budgets, and how many events were how late, into a PNG."""
    import matplotlib as mpl  # noqa: PLC0415  a second to load: after the measuring

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  the same

    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 5), layout="constrained")
    draw_budgets(left, [each for each in board if each.budget is not None])
    for name, at in found.items():
        latencies = sorted(value for each in at.rounds for value in each.latencies)
        shares = [place / len(latencies) for place in range(1, len(latencies) + 1)]
        right.plot(latencies, shares, label=name)
    right.set_xscale("log")
    right.set_xlabel("ms from commit to handled")
    right.set_ylabel("share of the events")
    right.legend()
    right.set_title("How late events are")
    figure.savefig(path, dpi=110)
    plt.close(figure)
