"""`manage.py declare_queues`: make what the broker needs to have, before anything is sent."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from shop.events.broker.app import make_app, transport_of
from shop.events.broker.streams import weaknesses
from shop.events.broker.topology import declare, exchange, queues, topics_of


class Command(BaseCommand):
    """A line for each queue."""

    help = (
        "Declare the exchange and the queues of the hosted contexts. Safe to repeat; workers do it at their start too. "
        "Exit code 2: there is no broker, it does not answer, or a queue exists with other properties."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """``--dry-run`` only tells."""
        parser.add_argument("--dry-run", action="store_true", help="tell what would be declared")

    def handle(self, *args: Any, **options: Any) -> None:
        """Declare, and tell."""
        if not settings.BROKER_URL:
            raise CommandError("BROKER_URL is unset: events are delivered in the server's process", returncode=2)
        if not options["dry_run"]:
            try:
                with make_app().connection_for_write() as connection:
                    connection.ensure_connection(max_retries=0)
                    declare(connection)
                of_redis = weaknesses(settings.BROKER_URL) if transport_of(settings.BROKER_URL) else []
            except Exception as error:
                raise CommandError(f"BROKER_URL: {type(error).__name__}: {error}", returncode=2) from error
            for weakness in of_redis:
                self.stderr.write(self.style.WARNING(f"BROKER_URL: {weakness}"))
        for queue in queues():
            self.stdout.write(f"{queue.name}  bound to {exchange().name} by {', '.join(topics_of(queue))}")
