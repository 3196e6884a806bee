"""`manage.py createsuperuser` on the home that holds this process's staff accounts."""

from django.contrib.auth.management.commands.createsuperuser import Command as DjangoCommand
from django.core.management.base import CommandParser

from shop.sharding.router import staff_home


class Command(DjangoCommand):
    """Django's command with the right database as its default."""

    requires_migrations_checks = False  # Django would ask `default`, which there is not; `/readyz` and `serve` look

    def add_arguments(self, parser: CommandParser) -> None:
        """As Django's."""
        super().add_arguments(parser)
        parser.set_defaults(database=staff_home())
