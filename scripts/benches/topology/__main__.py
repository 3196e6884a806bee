"""The command behind `scripts/bench topology`: what it costs when contexts live apart."""

import argparse
import sys

from scripts.benches.command import Result, Told, arguments, carry_out, load_of, rounds_of
from scripts.benches.show import scoreboard
from scripts.benches.topology.figures import figures
from scripts.benches.topology.show import as_json, measured, plot
from scripts.benches.topology.stand import Options, run


def main() -> int:
    """Measure; returns the exit code."""
    given = arguments().parse_args()
    return carry_out("topology", given, lambda told: _measure(given, told))


def _measure(given: argparse.Namespace, told: Told) -> Result:
    options = Options(postgres=given.postgres, orders=given.orders, rounds=rounds_of(given), load=load_of(given))
    found = run(options, told)
    board = figures(found)
    return Result(
        board=board,
        tables=[measured(found), scoreboard(board)],
        everything=as_json(found, board, quick=given.quick),
        plot=lambda path: plot(path, found, board),
    )


if __name__ == "__main__":
    sys.exit(main())
