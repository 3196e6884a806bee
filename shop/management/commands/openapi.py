"""`manage.py openapi`: the API's document on standard output, for generators of clients; or its problem codes."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from shop.gateway.openapi import as_json, document, problem_page


class Command(BaseCommand):
    """What `/api/v1/openapi.json` serves, without a server."""

    help = "Print the API's OpenAPI 3.1 document."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--context`` asks for a part, ``--problem-codes`` for a page of its refusals."""
        parser.add_argument("--context", choices=settings.CONTEXTS, default="", help="only this context's operations")
        parser.add_argument("--problem-codes", action="store_true", help="every problem code, as a Markdown page")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        import_string(f"{settings.ROOT_URLCONF}.urlpatterns")  # fills the route table
        context = options["context"]
        page = problem_page(document(context)) if options["problem_codes"] else as_json(context).decode()
        self.stdout.write(page.rstrip("\n"))
