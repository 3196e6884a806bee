"""`manage.py check_invariants`: whether everything that must hold holds, on all shards of all contexts hosted here."""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shop.invariants.registry import declared, not_here
from shop.invariants.runner import Runner, Verdict, by_name
from shop.invariants.words import Invariant
from shop.observability.health import OK
from shop.sharding.databases import context_of_alias, home_of
from shop.sharding.readiness import databases_ready, migrations_ready

MAX_SECONDS: Final = 3_600.0
EXAMPLES = """
examples:
  manage.py check_invariants                      look at everything
  manage.py check_invariants --json               the same, for programs
  manage.py check_invariants --only 1,2,9         some of it
  manage.py check_invariants --settle 0 --wait 0  of a shop that stands still

exit codes: 0 everything looked at and nothing found, 1 something is broken: every public ID at fault is printed,
            2 wrong arguments, or something could not be looked at and nothing was found in the rest
"""


class Command(BaseCommand):
    """Progress on stderr, the verdict on stdout."""

    help = (
        "Look whether the shop's invariants hold, over all shards, while it is at work. Reads only. What is found is "
        "looked at again before it is reported: work in flight is no fault."
    )
    requires_system_checks = ()  # some ask every database, and one that is away is for us to tell

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With examples as they are written."""
        kept = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """How patient it is, what it looks at, how it answers."""
        parser.add_argument(
            "--settle", type=_seconds, default=5.0, metavar="S", help="seconds until a finding is looked at again (5)"
        )
        parser.add_argument(
            "--wait",
            type=_seconds,
            default=60.0,
            metavar="S",
            help="the longest that work under way is waited for, where it can put a finding right (60)",
        )
        parser.add_argument(
            "--only", type=_names, default=None, metavar="NAMES", help="comma-separated, as in the table"
        )
        parser.add_argument("--json", action="store_true", help="as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, print, and exit by what was found."""
        began = time.monotonic()
        invariants = _chosen(options["only"])
        verdicts = self._run(invariants, settle_seconds=options["settle"], wait_seconds=options["wait"])
        report = _report(verdicts, elsewhere=[] if options["only"] else not_here())
        report["seconds"] = round(time.monotonic() - began, 2)
        self.stdout.write(json.dumps(report, indent=1, ensure_ascii=False) if options["json"] else _shown(report))
        broken = [each["name"] for each in report["invariants"] if each["findings"]]
        unasked = [each["name"] for each in report["invariants"] if each["unasked"]]
        if broken:
            raise CommandError(f"broken: {', '.join(broken)}", returncode=1)
        if unasked:
            raise CommandError(f"could not look at all of: {', '.join(unasked)}", returncode=2)

    def _run(self, invariants: Sequence[Invariant], **patience: float) -> list[Verdict]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(file=sys.stderr, highlight=False)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task, seen, rows = bar.add_task("", total=len(invariants)), set[str](), 0

            def told(name: str, place: str, more: int) -> None:
                nonlocal rows
                seen.add(name)
                rows += more
                bar.update(task, completed=len(seen) - 1, description=f"{name:>2}  {place}  {rows:,} rows")

            return Runner(away=_away(), told=told).run(invariants, **patience)


def _chosen(names: Sequence[str] | None) -> list[Invariant]:
    known = declared()
    if names is None:
        return known
    here = {each.name for each in known}
    if unknown := [name for name in names if name not in here]:
        shown = ", ".join(dict.fromkeys(each.name for each in known))
        raise CommandError(f"--only: {', '.join(unknown)} can't be checked here; there are {shown}", returncode=2)
    return [each for each in known if each.name in names]


def _away() -> dict[str, str]:
    """Databases that are not fit to be asked, with the reason; all of a context whose home can't say who owns what."""
    ready = databases_ready()
    away = {alias: verdict for alias, verdict in ready.items() if verdict != OK}
    homes = {alias: home_of(context_of_alias(alias)) for alias in ready}
    away |= {alias: f"{home}: {away[home]}" for alias, home in homes.items() if home in away and alias not in away}
    if not away:
        away = {alias: verdict for alias, verdict in migrations_ready().items() if verdict != OK}
    return away


def _report(verdicts: Sequence[Verdict], *, elsewhere: Sequence[str]) -> dict[str, Any]:
    """What is printed, as JSON has it."""
    rows = [_row(name, group) for name, group in by_name(verdicts)]
    complete = not any(row["unasked"] for row in rows)
    return {
        "clean": complete and not any(row["findings"] for row in rows),
        "complete": complete,
        "invariants": rows,
        "elsewhere": [int(name) for name in elsewhere],
    }


def _row(name: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "number": int(name) if name.isdigit() else None,
        "name": name,
        "title": "; ".join(verdict.invariant.title for verdict in verdicts),
        "checked": sum(verdict.checked for verdict in verdicts),
        "findings": [{"ids": list(f.ids), "detail": f.detail} for verdict in verdicts for f in verdict.findings],
        "unasked": [{"place": u.place, "reason": u.reason} for verdict in verdicts for u in verdict.unasked],
    }


def _shown(report: dict[str, Any]) -> str:
    """The same for people: a table, then every finding."""
    table = Table("", "what must hold", "rows", "broken", box=None)
    for row in report["invariants"]:
        found = str(len(row["findings"])) if row["findings"] else "?" if row["unasked"] else "-"
        table.add_row(row["name"], row["title"], f"{row['checked']:,}", found)
    console = Console(highlight=False)
    with console.capture() as shown:
        console.print(table)
    lines = [shown.get().rstrip()]
    for row in report["invariants"]:
        lines += [f"{row['name']:>2}  {', '.join(f['ids'])}: {f['detail']}" for f in row["findings"]]
        lines += [f"{row['name']:>2}  not looked at: {u['place']}: {u['reason']}" for u in row["unasked"]]
    if report["elsewhere"]:
        lines.append(f"checked where their context is hosted: {', '.join(str(n) for n in report['elsewhere'])}")
    lines.append(f"{'clean' if report['clean'] else 'not clean'}, {report['seconds']} s")
    return "\n".join(lines)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0 to {MAX_SECONDS:.0f}")
    return seconds


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("must be names of invariants, like 3,9")
    return names
