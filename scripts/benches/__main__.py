"""The command behind `scripts/bench`: what requests cost, beside a peer and beside the bare parts they are made of."""

import argparse
import sys

from scripts.benches.command import Result, Told, arguments, carry_out, load_of, rounds_of
from scripts.benches.figures import figures, measured
from scripts.benches.rounds import Options, run
from scripts.benches.show import as_json, plot, scoreboard, table_of


def main() -> int:
    """Measure; returns the exit code."""
    given = arguments().parse_args()
    return carry_out("bench", given, lambda told: _measure(given, told))


def _measure(given: argparse.Namespace, told: Told) -> Result:
    options = Options(postgres=given.postgres, orders=given.orders, rounds=rounds_of(given), load=load_of(given))
    found = run(options, told)
    rows, board = measured(found), figures(found)
    return Result(
        board=board,
        tables=[table_of(rows), scoreboard(board)],
        everything=as_json(found, rows, board, quick=given.quick),
        plot=lambda path: plot(path, rows, board),
    )


if __name__ == "__main__":
    sys.exit(main())
