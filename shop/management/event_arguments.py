"""What `manage.py events` takes: its subcommands, and how each argument is read."""

import argparse
import string
from datetime import UTC, datetime
from typing import Final

from django.utils.dateparse import parse_datetime

from shop.events.looking_after import REASON_LETTERS
from shop.events.which import event_id, moment

SHORTEST: Final = 8


def declare(parser: argparse.ArgumentParser) -> None:
    """Add them to ``parser``."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    looks = commands.add_parser("status", help="what waits, what failed and why, what is parked")
    requeues = commands.add_parser("requeue", help="try again what is dead or waits at a handler")
    skips = commands.add_parser("skip", help="give up what is dead, or waits, or is not handed over yet")
    replays = commands.add_parser("replay", help="hand over again; with --handler it handles them once more")
    lists = commands.add_parser("parked", help="messages that could not be taken, one by one")
    takes = commands.add_parser("take", help="hand parked messages over to handlers that know them by now")
    discards = commands.add_parser("discard", help="throw parked messages away")
    drains = commands.add_parser("drain", help="relay and retry until nothing waits")
    for each in (requeues, skips, replays):
        each.add_argument("events", nargs="*", type=event_of, metavar="EVENT", help="IDs; without them all that are so")
        each.add_argument("--topic", default="", help="like ordering.order_placed.v1")
        each.add_argument("--handler", default="", help="like ordering.commit_stock_on_order_placed")
        each.add_argument("--since", type=moment_of, help="published then or later, like 2026-11-01T00:00Z")
        each.add_argument("--until", type=moment_of, help="published before")
        each.add_argument("--dry-run", action="store_true", help="only say how many")
    for each in (lists, takes, discards):
        each.add_argument(
            "messages", nargs="*", type=digest_of, metavar="MESSAGE", help="what their digests begin with"
        )
        each.add_argument("--topic", default="", help="like ordering.order_placed.v1")
    for each in (takes, discards):
        each.add_argument("--dry-run", action="store_true", help="only say how many")
    skips.add_argument("--reason", required=True, type=reason_of, help="why; it is kept with each")
    discards.add_argument("--reason", required=True, type=reason_of, help="why; it is kept in the log")
    drains.add_argument("--seconds", type=float, default=60.0, help="how long to try (60)")
    for each in (looks, requeues, skips, replays, lists, takes, discards, drains):
        each.add_argument("--json", action="store_true", help="as one JSON object")


def moment_of(text: str) -> datetime:
    """In UTC."""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"must be a moment like 2026-11-01T00:00Z, not {text!r}")
    try:
        return moment(found if found.tzinfo else found.replace(tzinfo=UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def event_of(text: str) -> int:
    """Its ID."""
    try:
        return event_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def digest_of(text: str) -> str:
    """What a message's digest begins with."""
    if len(text) < SHORTEST or set(text) - set(string.hexdigits.lower()):
        raise argparse.ArgumentTypeError(f"must be {SHORTEST} or more of a digest's letters, not {text!r}")
    return text


def reason_of(text: str) -> str:
    """Some letters, kept with what they explain."""
    if not 1 <= len(text.strip()) <= REASON_LETTERS:
        raise argparse.ArgumentTypeError(f"must have 1 to {REASON_LETTERS} letters")
    return text.strip()
