"""`manage.py migrate_contexts`: every database of every hosted context, homes first, the others side by side."""

import argparse
from collections.abc import Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.sharding.migrating import JOBS, Outcome, count_left, migrate_one, run
from shop.sharding.readiness import all_aliases

MOST_JOBS: Final = 64
EXAMPLES: Final = """
examples:
  manage.py migrate_contexts            migrate, two databases at once or as many as there are processors
  manage.py migrate_contexts --jobs 1   one after another
  manage.py migrate_contexts --check    only look

exit codes: 0 done, 1 with --check: something is unapplied, 2 a database failed: the last lines say which, and how
            to go on
"""


class Command(BaseCommand):
    """One line of progress per database as it is done; nothing more is begun after the first error."""

    help = (
        "Migrate every database of every hosted context, homes first, then the others side by side. Safe to repeat: "
        "what is done is done, a second run changes nothing."
    )

    requires_system_checks = ()  # some ask every database, and one that is away is for us to tell

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With examples as they are written."""
        kept = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """``--check`` only looks; ``--jobs`` says how many are worked on at once."""
        parser.add_argument("--check", action="store_true", help="only look; exit 1 if something is unapplied")
        parser.add_argument("--jobs", type=_jobs, default=JOBS, metavar="N", help=f"databases at once ({JOBS})")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, or look."""
        aliases, only_look = all_aliases(), options["check"]
        self._number = 0

        def told(outcome: Outcome) -> None:
            self._number += 1
            self.stdout.write(f"  [{self._number}/{len(aliases)}] {_line(outcome, only_look=only_look)}")
            if outcome.bug:
                self.stderr.write(outcome.bug)

        done = run(count_left if only_look else migrate_one, aliases, jobs=options["jobs"], told=told)
        if failed := [outcome for outcome in done if outcome.error]:
            raise CommandError(_how_to_go_on(failed, done, aliases), returncode=2)
        if only_look and (behind := [outcome.alias for outcome in done if outcome.waiting]):
            raise CommandError(f"unapplied: {', '.join(behind)}: run it without --check", returncode=1)


def _line(outcome: Outcome, *, only_look: bool) -> str:
    if outcome.error:
        return f"{outcome.alias}: failed"
    said = f"{outcome.waiting} {'unapplied' if only_look else 'applied'}" if outcome.waiting else "up to date"
    return f"{outcome.alias}: {said} ({outcome.seconds:.1f} s)"


def _how_to_go_on(failed: Sequence[Outcome], done: Sequence[Outcome], aliases: Sequence[str]) -> str:
    """Every database is named, in the order of the settings."""
    well = {outcome.alias for outcome in done if not outcome.error}
    begun = {outcome.alias for outcome in done}
    lines = [f"{outcome.alias}: {outcome.error}" for outcome in failed]
    lines.append(f"done: {', '.join(alias for alias in aliases if alias in well) or 'none'}")
    lines.append(f"not begun: {', '.join(alias for alias in aliases if alias not in begun) or 'none'}")
    lines.append("mend it and run the command again: what is done is passed over")
    return "\n".join(lines)


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_JOBS):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MOST_JOBS}")
    return int(text)
