"""`manage.py openapi`: the API's document on standard output, for generators of clients."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from shop.gateway.openapi import as_json


class Command(BaseCommand):
    """What `/api/v1/openapi.json` serves, without a server."""

    help = "Print the API's OpenAPI 3.1 document."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--context`` asks for a part."""
        parser.add_argument("--context", choices=settings.CONTEXTS, default="", help="only this context's operations")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        import_string(f"{settings.ROOT_URLCONF}.urlpatterns")  # fills the route table
        self.stdout.write(as_json(options["context"]).decode())
