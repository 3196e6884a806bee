"""`manage.py migrate` without `--database` migrates every database, so that nobody has to name one."""

from typing import Any, Final

from django.core.management import CommandError, call_command
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DEFAULT_DB_ALIAS

from shop.sharding.first_migrate import ForeignDatabase, recognise
from shop.sharding.migration_lock import alone_at

OF_ONE_DATABASE: Final = ("plan", "fake", "fake_initial", "prune", "run_syncdb")


class Command(DjangoMigrate):
    """Django's command, and `migrate_contexts` where no database is named."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate one database, or all."""
        if options["database"] != DEFAULT_DB_ALIAS:
            try:
                recognise(options["database"])
            except ForeignDatabase as error:
                raise CommandError(str(error), returncode=2) from error
            with alone_at(options["database"]):
                super().handle(*args, **options)
            return
        if options["app_label"] or any(options[name] for name in OF_ONE_DATABASE):
            self.stderr.write("that is done on one database: add --database <alias>")
            raise SystemExit(2)
        call_command("migrate_contexts", check=options["check_unapplied"], stdout=self.stdout)
