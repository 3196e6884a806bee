"""What was found, for people: a table and a plot; for programs: JSON."""

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from scripts.benches.figures import Figure
from scripts.benches.show import draw_budgets
from scripts.benches.topology.stand import Found


def as_json(found: Found, board: list[Figure], *, quick: bool) -> dict[str, Any]:
    """Everything, down to the single samples."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "quick": quick,
        "figures": [{**asdict(each), "met": each.met if each.budget is not None else None} for each in board],
        **asdict(found),
    }


def measured(found: Found) -> Table:
    """Each case on each subject."""
    table = Table(title="measured: medians of the rounds")
    for heading in ("", "per second", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in sorted(found.rounds[0]):
        samples = [each[name] for each in found.rounds]
        rate, p50, p99 = (median(getattr(sample, part) for sample in samples) for part in ("rate", "p50_ms", "p99_ms"))
        table.add_row(name, f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}")
    return table


def plot(path: Path, found: Found, board: list[Figure]) -> None:
    """Draw the budgets, and how many requests a second there were, into a PNG."""
    import matplotlib as mpl  # noqa: PLC0415  a second to load: after the measuring

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  the same

    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 4), layout="constrained")
    draw_budgets(left, [each for each in board if each.budget is not None])
    names = sorted(found.rounds[0], reverse=True)
    right.barh(names, [median(each[name].rate for each in found.rounds) for name in names])
    right.set_xlabel("requests per second")
    figure.savefig(path, dpi=110)
    plt.close(figure)
