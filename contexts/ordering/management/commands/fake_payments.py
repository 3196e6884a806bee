"""`manage.py fake_payments`: acts as the fake payment provider. Only for shops that are paid with it."""

import argparse
import json
import math
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from contexts.ordering.domain import AttemptStatus
from contexts.ordering.services import NotDelivered, fake_payments, finish_fake_payment
from shop.contract import ContextError, NotFoundError

FINISHED = (AttemptStatus.CAPTURED.value, AttemptStatus.FAILED.value)
SHOWN = ("payment_id", "status", "amount", "currency", "refunded")
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a server's address, turned into a client's
MAX_TIMES = 1_000
MAX_DELAY_SECONDS = 3_600.0
EXAMPLES = """
examples:
  manage.py fake_payments list
  manage.py fake_payments finish pay_3M5T0VQ8WJ2K7R captured             the customer has confirmed
  manage.py fake_payments finish pay_3M5T0VQ8WJ2K7R failed --delay 5     ... or has not, and it took a while
  manage.py fake_payments finish pay_3M5T0VQ8WJ2K7R captured --times 8   the provider repeats itself

exit codes: 0 done, 1 the shop has not taken the webhook (or the books are away), 2 wrong arguments or no such payment
"""


class Command(BaseCommand):
    """Lists what the provider was asked for, and finishes what waits for the customer."""

    help = "Act as the fake payment provider: list its payments, or finish one and report it to the running shop."

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """With examples as they are written."""
        kept = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **{**options, **kept})

    def add_arguments(self, parser: CommandParser) -> None:
        """`list` and `finish`."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|finish")
        listing = actions.add_parser("list", help="every payment in the provider's books, oldest first")
        listing.add_argument("--json", action="store_true", help="as a JSON list; amounts in minor units")
        finish = actions.add_parser("finish", help="change the provider's books, then send the signed webhook")
        finish.add_argument("payment_id", metavar="PAYMENT_ID", help="pay_…, as in `list`")
        finish.add_argument("status", choices=FINISHED)
        finish.add_argument("--times", type=_times, default=1, metavar="N", help="send it N times (1)")
        finish.add_argument("--delay", type=_seconds, default=0.0, metavar="S", help="wait S seconds before (0)")
        finish.add_argument("--url", type=_url, default=None, help="where the shop is (http://HOST:PORT)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked."""
        try:
            if options["action"] == "list":
                self._list(as_json=options["json"])
            else:
                self._finish(options)
        except NotFoundError as error:
            raise CommandError(error.detail, returncode=2) from None
        except (NotDelivered, ContextError) as error:
            raise CommandError(str(error), returncode=1) from None

    def _list(self, *, as_json: bool) -> None:
        rows = [{name: asdict(intent)[name] for name in SHOWN} for intent in fake_payments()]
        if as_json:
            self.stdout.write(json.dumps(rows, indent=1))
            return
        table = Table(*SHOWN, box=None)
        for row in rows:
            table.add_row(*(str(row[name]) for name in SHOWN))
        console = Console(highlight=False)
        with console.capture() as shown:
            console.print(table)
        self.stdout.write(shown.get().rstrip())

    def _finish(self, options: dict[str, Any]) -> None:
        url, times = options["url"] or _own_url(), options["times"]
        finish_fake_payment(
            payment_id=options["payment_id"],
            status=AttemptStatus(options["status"]),
            url=url,
            times=times,
            delay_seconds=options["delay"],
        )
        self.stdout.write(f"{options['payment_id']}: {options['status']}, sent {times} times to {url}")


def _own_url() -> str:
    host = str(settings.HOST).strip("[]")
    host = ANYWHERE.get(host, host)
    return f"http://[{host}]:{settings.PORT}" if ":" in host else f"http://{host}:{settings.PORT}"


def _times(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_TIMES):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAX_TIMES}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_DELAY_SECONDS:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0 to {MAX_DELAY_SECONDS:.0f}")
    return seconds


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError("must be an address like http://127.0.0.1:8000")
    return text
