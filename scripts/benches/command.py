"""What every bench's command line has: arguments, a bar while it runs, tables, JSON and a plot at the end."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.benches.cases import CONNECTIONS
from scripts.benches.databases import DEFAULT
from scripts.benches.figures import Figure
from scripts.benches.measuring import Load
from scripts.benches.problems import BenchError
from scripts.benches.stage import SAMPLE

ROUNDS: Final = 6
SECONDS: Final = 2.0
QUICK_SECONDS: Final = 0.3
PAGE_WIDTH: Final = 130
MISSED, IMPOSSIBLE = 1, 2

type Told = Callable[[str, int, int], None]
"""Called with what is done now, the steps that are done, and all there will be."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run has found."""

    board: list[Figure]
    tables: list[Table]
    everything: dict[str, Any]
    plot: Callable[[Path], None]


def carry_out(name: str, given: argparse.Namespace, measure: Callable[[Told], Result]) -> int:
    """Measure, show it, and write ``name``.json and ``name``.png; returns the exit code."""
    console = Console(stderr=True, highlight=False)
    try:
        with _bar(console) as told:
            result = measure(told)
    except BenchError as error:
        console.print(f"bench: {error}", style="red", markup=False)
        return IMPOSSIBLE
    except KeyboardInterrupt:
        return 130
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result.everything, indent=1)
    (given.out / f"{name}.json").write_text(text)
    result.plot(given.out / f"{name}.png")
    if given.json:
        print(text)
    else:
        page = Console(highlight=False, width=None if sys.stdout.isatty() else PAGE_WIDTH)
        for table in result.tables:
            page.print(table)
    console.print(f"written: {given.out / name}.json, {given.out / name}.png")
    return MISSED if not given.quick and not all(figure.met for figure in result.board) else 0


@contextmanager
def _bar(console: Console) -> Iterator[Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("making databases", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def arguments() -> argparse.ArgumentParser:
    """What all of them take; their help is in the script."""
    parser = argparse.ArgumentParser(prog="scripts/bench", add_help=False)
    parser.add_argument("--postgres", default=os.environ.get("BENCH_POSTGRES_URL") or DEFAULT)
    parser.add_argument("--orders", type=Path, default=SAMPLE)
    parser.add_argument("--rounds", type=_rounds, default=ROUNDS)
    parser.add_argument("--seconds", type=_seconds, default=SECONDS)
    parser.add_argument("--out", type=Path, default=Path("var") / "bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    return parser


def load_of(given: argparse.Namespace) -> Load:
    """How hard to press."""
    return Load(seconds=QUICK_SECONDS if given.quick else given.seconds, connections=CONNECTIONS)


def rounds_of(given: argparse.Namespace) -> int:
    """How many rounds."""
    return 1 if given.quick else int(given.rounds)


def _rounds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):  # noqa: PLR2004  said in the message
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 100, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.2 <= seconds <= 60:  # noqa: PLR2004  said in the message
        raise argparse.ArgumentTypeError(f"must be a number from 0.2 to 60, not {text!r}")
    return seconds
