"""`manage.py events`: what stands, and what to do about it. What it does is in `shop.events.looking_after`."""

import argparse
import getpass
import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from shop.events.broker.delivery import make_delivery
from shop.events.broker.parked import WhichParked, count_parked, discard, parked, take_again
from shop.events.figures import waiting_events
from shop.events.looking_after import replay, requeue, skip
from shop.events.standing import status
from shop.events.which import Which
from shop.management.event_arguments import declare

EXAMPLES: Final = """
examples:
  manage.py events status                                    what waits, what failed and why, what is parked
  manage.py events requeue                                   try again all that is dead or waits
  manage.py events requeue --handler ordering.commit_stock_on_order_placed
  manage.py events skip 7291043 --reason "order was deleted by hand"
  manage.py events replay --topic ordering.order_placed.v1 --since 2026-11-01T00:00Z --dry-run
  manage.py events replay 7291043 --handler ordering.commit_stock_on_order_placed
  manage.py events parked                                    messages that could not be taken, one by one
  manage.py events take --topic ordering.order_placed.v1     hand them over, now that this code knows the topic
  manage.py events discard 3f9a2c1b --reason "not ours"
  manage.py events drain                                     relay and retry until nothing waits

exit codes: 0 done, 1 nothing is like that (status: something is dead or parked; drain: something still waits),
            2 wrong arguments, or a database could not be asked
"""
MOST_LISTED: Final = 100


class Command(BaseCommand):
    """Tables on stdout, or one JSON object with ``--json``."""

    help = "Look after events: what waits, what is dead, try it again, give it up, hand it over once more."

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With examples as they are written."""
        kept = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """A subcommand, and what it takes."""
        declare(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, print, and exit by what came of it."""
        try:
            COMMANDS[options["command"]](self, options)
        except DatabaseError as error:
            raise CommandError(f"a database does not answer: {type(error).__name__}", returncode=2) from error

    def say(self, report: dict[str, Any], words: str, options: dict[str, Any]) -> None:
        """For programs or for people."""
        self.stdout.write(json.dumps(report, indent=1) if options["json"] else words)


def _status(command: Command, options: dict[str, Any]) -> None:
    report = status()
    if options["json"]:
        command.stdout.write(json.dumps(report, indent=1))
    else:
        console = Console(file=command.stdout, highlight=False, soft_wrap=True)  # type: ignore[arg-type]  # writes text
        for title in ("outbox", "inbox", "parked"):
            console.print(_table(title, report[title]))
        for name in report["unknown_handlers"]:
            console.print(f"{name} is no handler any more, and events wait for it: skip them, or bring it back")
    if report["unasked"]:
        raise CommandError(f"no answer: {', '.join(report['unasked'])}", returncode=2)
    if report["parked"] or any(row["state"] == "dead" for row in report["inbox"]):
        raise CommandError("something is dead or parked", returncode=1)


def _table(title: str, rows: Sequence[dict[str, Any]]) -> Table | str:
    if not rows:
        return f"{title}: nothing"
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    return table


def _requeue(command: Command, options: dict[str, Any]) -> None:
    _tell(command, "requeued", requeue(_which(options), by=_who(), dry_run=options["dry_run"]), options)


def _skip(command: Command, options: dict[str, Any]) -> None:
    which = _not_all("skip", _which(options))
    _tell(command, "skipped", skip(which, options["reason"], by=_who(), dry_run=options["dry_run"]), options)


def _replay(command: Command, options: dict[str, Any]) -> None:
    which = _not_all("replay", _which(options))
    _tell(command, "replayed", replay(which, by=_who(), dry_run=options["dry_run"]), options)


def _parked(command: Command, options: dict[str, Any]) -> None:
    rows = [
        {"message": row.digest, "home": context, "topic": row.topic, "reason": row.reason, "at": row.created_at}
        for context, row in parked(_which_parked(options), MOST_LISTED)
    ]
    if options["json"]:
        command.stdout.write(json.dumps(rows, indent=1, default=str))
    else:
        Console(file=command.stdout, highlight=False, soft_wrap=True).print(_table("parked", rows))  # type: ignore[arg-type]  # writes text


def _take(command: Command, options: dict[str, Any]) -> None:
    which, left = _which_parked(options), 0
    taken = count_parked(which) if options["dry_run"] else 0
    if not options["dry_run"]:
        taken, left = take_again(which, by=_who())
    if left:
        raise CommandError(f"{taken} taken, {left} still not believed, or of a topic unknown here", returncode=1)
    _tell(command, "taken", taken, options)


def _discard(command: Command, options: dict[str, Any]) -> None:
    which = _which_parked(options)
    if which == WhichParked():
        raise CommandError("discard: say which: messages, or --topic", returncode=2)
    gone = count_parked(which) if options["dry_run"] else discard(which, options["reason"], by=_who())
    _tell(command, "discarded", gone, options)


def _tell(command: Command, what: str, done: int, options: dict[str, Any]) -> None:
    would = "would be " if options["dry_run"] else ""
    command.say({what: done, "dry_run": options["dry_run"]}, f"{done} {would}{what}", options)
    if not done:
        raise CommandError("nothing is like that", returncode=1)


def _drain(command: Command, options: dict[str, Any]) -> None:
    began, delivery = datetime.now(UTC), make_delivery(beside_relay=False)
    delivery.start()
    until = time.monotonic() + options["seconds"]
    while (left := waiting_events(began)) and time.monotonic() < until:
        time.sleep(0.2)
    delivery.stop()
    command.say({"waiting": left}, f"{left} waiting" if left else "nothing waits", options)
    if left:
        raise CommandError("not drained", returncode=1)


COMMANDS: Final = {
    "status": _status,
    "requeue": _requeue,
    "skip": _skip,
    "replay": _replay,
    "parked": _parked,
    "take": _take,
    "discard": _discard,
    "drain": _drain,
}


def _who() -> str:
    """The account that types this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _which_parked(options: dict[str, Any]) -> WhichParked:
    return WhichParked(messages=tuple(options["messages"]), topic=options["topic"])


def _which(options: dict[str, Any]) -> Which:
    told = {name: options[name] for name in ("topic", "handler", "since", "until")}
    return Which(events=tuple(options["events"]), **told)


def _not_all(command: str, which: Which) -> Which:
    """Refuse what would mean everything there is, where nobody means that."""
    if which == Which(handler=which.handler):
        raise CommandError(f"{command}: say which: events, --topic, --since or --until", returncode=2)
    return which
