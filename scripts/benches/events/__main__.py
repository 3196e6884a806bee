"""The command behind `scripts/bench events`: how many events a second, and how late, from commit to handler."""

import argparse
import os
import sys
from typing import Final
from urllib.parse import urlsplit

from scripts.benches.command import Result, Told, arguments, carry_out, rounds_of
from scripts.benches.events.figures import figures
from scripts.benches.events.show import as_json, measured, plot
from scripts.benches.events.stand import KINDS, RATE, Options, run
from scripts.benches.show import scoreboard

BROKER: Final = "amqp://guest:guest@127.0.0.1:5672//"
EVENTS, QUICK_EVENTS = 20_000, 300
TRICKLED_SECONDS, QUICK_TRICKLED_SECONDS = 6, 0.5
WORKERS: Final = 2


def main() -> int:
    """Measure; returns the exit code."""
    parser = arguments()
    parser.add_argument("--broker", type=_broker, action="append")
    parser.add_argument("--events", type=_number, default=EVENTS)
    parser.add_argument("--workers", type=_number, default=WORKERS)
    given = parser.parse_args()
    return carry_out("events", given, lambda told: _measure(given, told))


def _measure(given: argparse.Namespace, told: Told) -> Result:
    options = Options(
        postgres=given.postgres,
        brokers=given.broker or [os.environ.get("BENCH_BROKER_URL") or BROKER],
        events=QUICK_EVENTS if given.quick else given.events,
        trickled=round(RATE * (QUICK_TRICKLED_SECONDS if given.quick else TRICKLED_SECONDS)),
        workers=given.workers,
        rounds=rounds_of(given),
    )
    found = run(options, told)
    board = figures(found)
    return Result(
        board=board,
        tables=[measured(found, options), scoreboard(board)],
        everything=as_json(found, board, options, quick=given.quick),
        plot=lambda path: plot(path, found, board),
    )


def _broker(text: str) -> str:
    if urlsplit(text).scheme not in KINDS:
        raise argparse.ArgumentTypeError(f"must be a URL of {' or '.join(KINDS)}")
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):  # noqa: PLR2004  said in the message
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 1000000, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
