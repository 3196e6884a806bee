"""`manage.py migrate_contexts`: every database of every hosted context, homes first."""

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DatabaseError

from shop.sharding.first_migrate import ForeignDatabase, recognise
from shop.sharding.readiness import all_aliases, unapplied


class Command(BaseCommand):
    """One line of progress per database; stops at the first error."""

    help = "Migrate every database of every hosted context. Safe to repeat; a second run changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--check`` only looks."""
        parser.add_argument("--check", action="store_true", help="only look; exit 1 if something is unapplied")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate."""
        aliases = all_aliases()
        for position, alias in enumerate(aliases, start=1):
            started = time.monotonic()
            try:
                recognise(alias)
                waiting = unapplied(alias)
                if options["check"] and waiting:
                    raise CommandError(f"{alias}: {waiting} unapplied migrations", returncode=1)
                if not options["check"]:
                    self._migrate(alias)
            except (DatabaseError, ForeignDatabase) as error:
                reason = str(error).strip().splitlines()[0]
                raise CommandError(
                    f"{alias}: {reason}\n{position - 1} of {len(aliases)} databases are done; "
                    "mend this one and run the command again",
                    returncode=2,
                ) from error
            done = f"{waiting} applied" if waiting else "up to date"
            self.stdout.write(f"  [{position}/{len(aliases)}] {alias}: {done} ({time.monotonic() - started:.1f} s)")

    def _migrate(self, alias: str) -> None:
        options = {"verbosity": 0, "interactive": False, "database": alias, "skip_checks": True}
        call_command(DjangoMigrate(), **options)
