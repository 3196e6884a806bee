"""`manage.py shards`: looks after the databases of the contexts. What it does is in `shop.sharding.commands`."""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from shop.sharding.commands.add import add
from shop.sharding.commands.asking import Refused, reason_of
from shop.sharding.commands.doctor import examine
from shop.sharding.commands.plan import MEASURES, planned
from shop.sharding.commands.rebuild import rebuild, write
from shop.sharding.commands.reports import added_shown, examined_shown, plan_shown, rebuilt_shown
from shop.sharding.commands.shown import status_shown
from shop.sharding.commands.status import status
from shop.sharding.databases import hosted_contexts

EXAMPLES: Final = """
examples:
  manage.py shards status                     every database: what it owns, rows, bytes, requests; who uses the map
  manage.py shards status ordering --json     one context, for programs
  manage.py shards doctor                     whatever is wrong, each with what to do
  manage.py shards add ordering --dry-run     what becomes of a URL that was appended to ORDERING_DATABASES
  manage.py shards add ordering               the same, done: it takes no traffic yet
  manage.py shards plan ordering --by bytes   which slices to move where, so that all have about the same
  manage.py shards rebuild-map ordering       the map anew, from what each database says it owns

exit codes: 0 done, 1 doctor found something, 2 refused by a check, or a database could not be asked (of doctor: and
            nothing was found in the rest)
"""


class Command(BaseCommand):
    """Tables on stdout, or one JSON object with ``--json``; why something was refused on stderr."""

    help = "Look after the databases of the contexts: what each owns, what is wrong, one more of them, the map."
    requires_system_checks = ()  # some ask every database, and one that is away is for us to tell

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With examples as they are written."""
        kept = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """A subcommand, and what it takes."""
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        looks = commands.add_parser("status", help="where everything is, how much of it, and who knows")
        finds = commands.add_parser("doctor", help="look for everything that is wrong, and say what to do")
        adds = commands.add_parser("add", help="introduce a database whose URL was appended; it owns nothing yet")
        plans = commands.add_parser("plan", help="which slices to move where; nothing moves by it")
        rebuilds = commands.add_parser("rebuild-map", help="write the map from what each database says it owns")
        for each in (looks, finds, rebuilds):
            each.add_argument("contexts", nargs="*", metavar="CONTEXT", help="all that are hosted here, if none")
        for each in (adds, plans):
            each.add_argument("contexts", nargs=1, metavar="CONTEXT", help="whose databases")
        for each in (adds, rebuilds):
            each.add_argument("--dry-run", action="store_true", help="only say what would be done")
        plans.add_argument("--by", choices=MEASURES, default="rows", help="what all should have the same of (rows)")
        for each in (looks, finds, adds, plans, rebuilds):
            each.add_argument("--json", action="store_true", help="as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, print, and exit by what came of it."""
        contexts = _chosen(options["contexts"])
        try:
            COMMANDS[options["command"]](self, contexts, options)
        except Refused as refused:
            raise CommandError("\n".join(refused.reasons), returncode=2) from refused
        except DatabaseError as error:
            raise CommandError(reason_of(error), returncode=2) from error

    def say(self, report: dict[str, Any], shown: Callable[[dict[str, Any]], str], options: dict[str, Any]) -> None:
        """For programs or for people."""
        self.stdout.write(json.dumps(report, indent=1) if options["json"] else shown(report))


def _status(command: Command, contexts: Sequence[str], options: dict[str, Any]) -> None:
    report = status(contexts)
    command.say(report, status_shown, options)
    if not report["complete"]:
        raise CommandError("not everything could be looked at", returncode=2)


def _doctor(command: Command, contexts: Sequence[str], options: dict[str, Any]) -> None:
    report = examine(contexts)
    command.say(report, examined_shown, options)
    if report["findings"]:
        raise CommandError(f"{len(report['findings'])} found", returncode=1)
    if not report["complete"]:
        raise CommandError("not everything could be looked at", returncode=2)


def _add(command: Command, contexts: Sequence[str], options: dict[str, Any]) -> None:
    told = (lambda _: None) if options["json"] else command.stdout.write
    report = add(contexts[0], dry_run=options["dry_run"], told=told)
    command.say(report, added_shown, options)


def _plan(command: Command, contexts: Sequence[str], options: dict[str, Any]) -> None:
    command.say(planned(contexts[0], by=options["by"]), plan_shown, options)


def _rebuild(command: Command, contexts: Sequence[str], options: dict[str, Any]) -> None:
    maps = [rebuild(context) for context in contexts]  # all are looked at before anything is written
    faults = [] if options["dry_run"] else [write(each) for each in maps]
    written = [not fault for fault in faults] or [False] * len(maps)
    command.say({"maps": [m.report(written=w) for m, w in zip(maps, written, strict=True)]}, rebuilt_shown, options)
    if any(faults):
        raise Refused(*filter(None, faults))


COMMANDS: Final = {"status": _status, "doctor": _doctor, "add": _add, "plan": _plan, "rebuild-map": _rebuild}


def _chosen(names: Sequence[str]) -> Sequence[str]:
    hosted = hosted_contexts()
    if unknown := [name for name in names if name not in hosted]:
        words = f"{', '.join(unknown)} is not hosted here; there are {', '.join(hosted)}"
        raise CommandError(words, returncode=2)
    return list(dict.fromkeys(names)) or hosted
