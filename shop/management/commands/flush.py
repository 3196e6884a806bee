"""`manage.py flush` only with a database named: there is no default one."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.flush import Command as DjangoCommand
from django.db import DEFAULT_DB_ALIAS


class Command(DjangoCommand):
    """Django's command, refused without `--database`."""

    def handle(self, *args: Any, **options: Any) -> Any:
        """Run on the named database."""
        if options["database"] == DEFAULT_DB_ALIAS:
            raise CommandError("flush works on one database: add --database <alias>", returncode=2)
        return super().handle(*args, **options)
