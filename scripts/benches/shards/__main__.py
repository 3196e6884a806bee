"""The command behind `scripts/bench shards`: what routing and guard cost, on more and more shards of one server."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from scripts.benches.command import Result, Told, arguments, carry_out, load_of, rounds_of
from scripts.benches.shards.figures import figures
from scripts.benches.shards.show import as_json, measured, plot
from scripts.benches.shards.stand import Options, run
from scripts.benches.show import scoreboard

COUNTS: Final = (1, 2, 4, 8, 16)


def main() -> int:
    """Measure; returns the exit code."""
    parser = arguments()
    parser.add_argument("--counts", type=_counts, default=COUNTS)
    given = parser.parse_args()
    return carry_out("shards", given, lambda told: _measure(given, told))


def _measure(given: argparse.Namespace, told: Told) -> Result:
    options = Options(
        postgres=given.postgres,
        orders=given.orders,
        counts=given.counts,
        rounds=rounds_of(given),
        load=load_of(given),
    )
    found = run(options, told)
    board = figures(found)
    return Result(
        board=board,
        tables=[measured(found), scoreboard(board)],
        everything=as_json(found, board, quick=given.quick),
        plot=lambda path: plot(path, found),
    )


def _counts(text: str) -> Sequence[int]:
    try:
        counts = sorted({int(each) for each in text.split(",")})
    except ValueError:
        counts = []
    if not counts or not 1 <= counts[0] <= counts[-1] <= COUNTS[-1]:
        raise argparse.ArgumentTypeError(f"must be numbers from 1 to {COUNTS[-1]}, like 1,4,16, not {text!r}")
    return counts


if __name__ == "__main__":
    sys.exit(main())
