"""`manage.py replay_orders`: real baskets of a file go through the services, as if their buyers came all at once."""

import argparse
import json
import logging
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils.module_loading import import_string
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from shop.contract import ConflictError, ContextError, InvalidError
from shop.sharding.readiness import all_aliases, unapplied

MOST_WORKERS: Final = 32
MAX_DIGITS: Final = 9
USUAL_VERBOSITY: Final = 1
INTERRUPTED: Final = 130
RUN: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
EPILOG: Final = """
A file has the columns invoice, kind (order or cancellation), placed_at, customer (may be empty), country, sku,
quantity, unit_price_cents; lines stand in time order. It is read to its end before anything is written. Prices are
today's. A run that broke off goes on when it is started again with its --run, within a day; it doubles nothing.

examples:
  manage.py replay_orders config/demo/sample_orders.csv.gz --limit 100
  manage.py replay_orders config/demo/sample_orders.csv.gz --dry-run --json
  manage.py replay_orders orders.csv.gz --run first --workers 4

exit codes: 0 all is done and delivered; 1 it stopped at an invoice, or not all is delivered: the last line says what;
2 wrong arguments, a damaged file (the line is named, nothing was written), or a shop that is not all here;
130 interrupted
"""
"""What follows the arguments in `--help`."""


class Command(BaseCommand):
    """Arguments, the bar, the summary. The work is what `ORDER_REPLAYER` names."""

    help = "Replay a file of real sales: register the customers, order, pay, refund what was cancelled."

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With the epilogue as it is written."""
        kept = {"epilog": EPILOG, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, and how much of it."""
        parser.add_argument("file", type=Path, metavar="FILE", help="a .csv or .csv.gz")
        parser.add_argument("--limit", type=_count, metavar="N", help="only the first N invoices")
        parser.add_argument("--workers", type=_workers, default=2, metavar="K", help=f"threads, 1-{MOST_WORKERS} (2)")
        parser.add_argument("--run", type=_run, metavar="NAME", help="name of the run, to go on with it (a new one)")
        parser.add_argument("--dry-run", action="store_true", help="read, check and count; write nothing")
        parser.add_argument("--json", action="store_true", help="the summary as JSON; amounts in minor units")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay, and say what it came to."""
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        if not settings.ORDER_REPLAYER:
            raise CommandError("CONTEXTS: orders are replayed where all contexts are hosted together", returncode=2)
        _refuse_other_files(options["file"])
        try:
            _refuse_unmigrated()
            with _quiet(told_to=options["verbosity"] <= USUAL_VERBOSITY):
                summary = self._replay(options)
        except InvalidError as error:
            raise CommandError(f"{options['file']}: {error.detail}", returncode=2) from None
        except ConflictError as error:
            raise CommandError(error.detail, returncode=2) from None
        except ContextError as error:
            raise CommandError(error.detail, returncode=1) from error
        except DatabaseError as error:
            raise CommandError(str(error).strip().splitlines()[0], returncode=1) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted; baskets that had begun are finished", returncode=INTERRUPTED) from None
        self._show(summary, as_json=options["json"])
        if left := {name: number for name, number in summary.get("left", {}).items() if number}:
            raise CommandError(f"not all is delivered: {left}", returncode=1)

    def _replay(self, options: Mapping[str, Any]) -> dict[str, Any]:
        run = options["run"] or f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        if not options["dry_run"]:
            self.console.print(f"run {run} (to go on with it after a break: --run {run})")
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("", total=None)

            def tell(step: str, done: int, total: int | None) -> None:
                if bar.tasks[0].description != step:
                    bar.reset(task, description=step, total=total)
                bar.update(task, completed=done, total=total)

            replay = import_string(settings.ORDER_REPLAYER)
            summary: dict[str, Any] = replay(
                options["file"],
                limit=options["limit"],
                workers=options["workers"],
                run=run,
                dry_run=options["dry_run"],
                progress=tell,
            )
        return summary

    def _show(self, summary: Mapping[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(summary, indent=1))
            return
        table = Table(box=None, show_header=False)
        for part, value in summary.items():
            for position, (name, shown) in enumerate(_rows(value)):
                table.add_row("" if position else part, name, shown)
        console = Console(highlight=False, width=120)
        with console.capture() as captured:
            console.print(table)
        self.stdout.write(captured.get().rstrip())


class _Rate(ProgressColumn):
    """How fast it goes."""

    def render(self, task: Task) -> Text:
        """So many a second, of late."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


@contextmanager
def _quiet(*, told_to: bool) -> Iterator[None]:
    """Log warnings and errors only: a line for each refund would drown the bar."""
    root = logging.getLogger()
    before = root.level
    if told_to:
        root.setLevel(max(logging.WARNING, before))
    try:
        yield
    finally:
        root.setLevel(before)


def _rows(value: Any) -> list[tuple[str, str]]:
    """A part of the summary as names and texts; parts of parts stand in one row."""
    if not isinstance(value, Mapping):
        return [("", str(value))]
    return [(name, _on_one_line(each)) for name, each in value.items()]


def _on_one_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _refuse_other_files(path: Path) -> None:
    """What is neither .csv nor .csv.gz is a slip of the hand.

    Raises:
        CommandError: It is.
    """
    if not path.name.endswith((".csv", ".csv.gz")):
        raise CommandError(f"{path}: the file must be a .csv or a .csv.gz", returncode=2)


def _refuse_unmigrated() -> None:
    """A shop must be there.

    Raises:
        CommandError: Some of its databases were never made, or are behind this code.
    """
    if behind := [alias for alias in all_aliases() if unapplied(alias)]:
        raise CommandError(f"{', '.join(behind)}: run `manage.py migrate_contexts` first", returncode=2)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and int(text) > 0):
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


def _workers(text: str) -> int:
    number = _count(text)
    if number > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_WORKERS}")
    return number


def _run(text: str) -> str:
    if not RUN.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 1-40 letters, digits, dots, hyphens or underscores")
    return text
