"""`manage.py bind`: where a context is answered, for every process that hosts it."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.addresses import http_address
from shop.sharding.binding import bind, binding_of


class Command(BaseCommand):
    """A line, or one JSON object."""

    help = (
        "Show or change where a context is answered. Processes that host it follow within a second: they send its "
        "calls and its clients' requests there. Exit code 2: it is not hosted here, or the URL is none."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """``--url`` or ``--here`` change it."""
        parser.add_argument("context", metavar="CONTEXT")
        place = parser.add_mutually_exclusive_group()
        place.add_argument("--url", default="", help="answered there")
        place.add_argument("--here", action="store_true", help="answered by the processes that host it")
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be so")
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Change, and tell."""
        context, url = options["context"], options["url"]
        if context not in settings.CONTEXTS:
            raise CommandError(f"{context} is not hosted here", returncode=2)
        try:
            url = http_address(url) if url else ""
        except ValueError as wrong:
            raise CommandError(f"--url: {wrong}", returncode=2) from None
        if (url or options["here"]) and not options["dry_run"]:
            bind(context, url)
        written, changes = binding_of(context)
        if options["dry_run"] and (url or options["here"]):
            written = url
        told = {"context": context, "url": written, "changes": changes}
        self.stdout.write(json.dumps(told) if options["json"] else f"{context}: {written or 'here'}")
