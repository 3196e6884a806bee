"""What was found, for people: two tables and a plot; for programs: JSON."""

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from scripts.benches.figures import Figure, Measured
from scripts.benches.rounds import Run

GOOD, BAD = "#2a7f4f", "#b3382c"
SERVER, DATABASE = "#3465a4", "#c4a000"
NAMES: Final = {
    "empty": "empty view",
    "product": "GET product",
    "products": "list of products",
    "order": "GET order",
    "place": "place order",
    "login": "login",
    "journey": "journey, per request",
}


def as_json(run: Run, rows: list[Measured], board: list[Figure], *, quick: bool) -> dict[str, Any]:
    """Everything, down to the single samples."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "quick": quick,
        "figures": [{**asdict(each), "met": each.met if each.budget is not None else None} for each in board],
        "measured": [asdict(each) for each in rows],
        "run": asdict(run),
    }


def table_of(rows: list[Measured]) -> Table:
    """Each case on each subject."""
    table = Table(title="measured: medians of the rounds")
    for heading in ("", "by", "per second", "p50 ms", "p99 ms", "server CPU µs", "database CPU µs"):
        table.add_column(heading, justify="left" if heading in {"", "by"} else "right")
    for each in rows:
        values = (each.p50_ms, each.p99_ms, each.server_cpu_us, each.database_cpu_us)
        numbers = [_number(each.rate), *(_number(value) for value in values)]
        table.add_row(NAMES[each.case], each.subject, *numbers)
    return table


def scoreboard(board: list[Figure]) -> Table:
    """Each figure beside its budget."""
    table = Table(title="figures: medians of the rounds' ratios, and their range")
    for heading in ("", "median", "range", "budget", ""):
        table.add_column(heading, justify="right" if heading in {"median", "budget"} else "left")
    for figure in board:
        table.add_row(
            figure.name,
            f"{figure.value:.2f} {figure.unit}".strip(),
            f"{figure.low:.2f} to {figure.high:.2f}",
            *_verdict(figure),
        )
    return table


def _verdict(figure: Figure) -> tuple[str, str]:
    if figure.budget is None:
        return "", ""
    promised = f"{'≥' if figure.at_least else '≤'} {figure.budget:g}"
    return promised, "[green]met[/]" if figure.met else f"[red]missed by {figure.missed_by:.0%}[/]"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004  where a fraction stops to matter


def plot(path: Path, rows: list[Measured], board: list[Figure]) -> None:
    """Draw the budgets and the CPU time per request into a PNG."""
    import matplotlib as mpl  # noqa: PLC0415  a second to load: after the measuring

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  the same

    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 7), layout="constrained")
    draw_budgets(left, [each for each in board if each.budget is not None])
    _draw_cpu(right, [each for each in rows if each.server_cpu_us is not None])
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_budgets(axes: Any, board: list[Figure]) -> None:
    """How much of each budget is there: beyond the line at 1 it holds."""
    for place, each in enumerate(reversed(board)):
        share = each.value / (each.budget or 1)
        share = share if each.at_least else 1 / share
        axes.barh(place, share, color=GOOD if each.met else BAD)
        promised = f"  {each.value:.2f} {each.unit}".rstrip() + f"   ({'≥' if each.at_least else '≤'} {each.budget:g})"
        axes.text(share, place, promised, va="center", color=GOOD if each.met else BAD, fontweight="bold")
    axes.axvline(1.0, color="black", linewidth=1.5)
    axes.margins(x=0.3)
    axes.set_yticks(range(len(board)), [each.name for each in reversed(board)])
    axes.set_xlabel("share of the budget: it holds from the line on")
    axes.set_title("Budgets")


def _draw_cpu(axes: Any, rows: list[Measured]) -> None:
    rows = [each for each in rows if each.case != "login"]  # a hash would dwarf the rest
    for place, each in enumerate(reversed(rows)):
        server, database = each.server_cpu_us or 0.0, each.database_cpu_us or 0.0
        axes.barh(place, server, color=SERVER, label="server" if place == 0 else None)
        axes.barh(place, database, left=server, color=DATABASE, label="PostgreSQL" if place == 0 else None)
        axes.text(server + database, place, f"  {server:,.0f} + {database:,.0f}", va="center")
    axes.set_yticks(range(len(rows)), [f"{NAMES[each.case]}: {each.subject}" for each in reversed(rows)])
    axes.margins(x=0.25)
    axes.set_xlabel("µs of CPU time per request")
    axes.legend(loc="upper right")
    axes.set_title("What a request costs")
