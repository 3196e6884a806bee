"""`manage.py serve`: from an empty folder to an answering shop; the next time it only answers."""

import os
import secrets
import socket
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string
from jwt import PyJWTError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from shop.observability.shared_counts import FOLDER, empty_folder
from shop.services.keys import key_ring
from shop.sharding.first_migrate import ForeignDatabase, check_identity
from shop.sharding.readiness import all_aliases, left_to_do, unapplied
from shop.sharding.router import staff_home
from shop.staff.models import StaffUser


class Command(BaseCommand):
    """Prepare what is missing, then become the server."""

    help = (
        "Migrate every database, load the demo shop, make a staff account, and serve on http://HOST:PORT. "
        "Safe to repeat. Exit code 2: a setting is wrong; the line says which."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What may be left out."""
        parser.add_argument("--no-demo", action="store_true", help="leave the shop empty")
        parser.add_argument("--prepare-only", action="store_true", help="do everything but serve")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare and serve."""
        self.console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        address = "" if options["prepare_only"] else _free_address()
        _refuse_unwritable(Path(settings.SHOP_HOME))
        try:
            self._prepare(demo=not options["no_demo"])
        except (DatabaseError, ForeignDatabase) as error:
            raise CommandError(str(error).strip().splitlines()[0], returncode=2) from error
        connections.close_all()
        if address:
            shown = f"[{address}]" if ":" in address else settings.HOST
            if not ip_address(address).is_loopback and list(settings.LOCAL_HOSTS) == settings.ALLOWED_HOSTS:
                self.console.print("ALLOWED_HOSTS is unset: requests to any name but localhost are answered 400")
            self.console.print(f"serving on http://{shown}:{settings.PORT}  (Ctrl-C stops)")
            _become_server(address)

    def _prepare(self, *, demo: bool) -> None:
        for alias in (alias for alias in all_aliases() if not unapplied(alias)):
            check_identity(alias)
        if any(left_to_do(alias) for alias in all_aliases()):
            self.console.print("migrating")
            call_command("migrate_contexts", stdout=sys.stderr)
        if not settings.CONTEXTS:
            return
        _refuse_bad_keys()
        if demo and settings.DEMO_LOADER:
            self._load_demo()
        self._make_staff_account()

    def _load_demo(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("loading the demo shop", total=None)
            loaded = import_string(settings.DEMO_LOADER)(
                lambda done, total: bar.update(task, completed=done, total=total)
            )
        if loaded:
            self.console.print(f"loaded the demo shop: {loaded} products")

    def _make_staff_account(self) -> None:
        accounts = StaffUser.objects.using(staff_home())
        if accounts.filter(is_superuser=True).exists():
            return
        email = os.environ.get("DJANGO_SUPERUSER_EMAIL") or "admin@shop.example"
        given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"DJANGO_SUPERUSER_EMAIL: {email!r} is no e-mail address", returncode=2) from None
        password = given or secrets.token_urlsafe(15)
        get_user_model().objects.db_manager(staff_home()).create_superuser(email=email, password=password)
        shown = "the password you set" if given else f"password {password}  (printed only now)"
        self.console.print(f"staff account: {email}, {shown}")


def _free_address() -> str:
    """The number of `HOST`, which may be a name. A taken port is found before anything is made.

    Raises:
        CommandError: It is taken, or the address is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(settings.HOST.strip("[]"), settings.PORT, type=socket.SOCK_STREAM)
        family, *_, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if settings.SHARE_PORT and hasattr(socket, "SO_REUSEPORT"):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(place)
    except OSError as error:
        reason = f"can't listen on {settings.HOST}:{settings.PORT}: {error.strerror or error}"
        raise CommandError(f"HOST, PORT: {reason}", returncode=2) from error
    return str(place[0])


def _refuse_bad_keys() -> None:
    """Tokens are signed by every process: a file that is no key ring is found before the first sign-in.

    Raises:
        CommandError: It is none.
    """
    try:
        key_ring()
    except (OSError, ValueError, KeyError, TypeError, IndexError, PyJWTError) as error:
        reason = f"{settings.SIGNING_KEYS} can't be used: {type(error).__name__}"
        raise CommandError(f"SIGNING_KEYS: {reason}", returncode=2) from error


def _refuse_unwritable(home: Path) -> None:
    """`SHOP_HOME` is written to, whatever the databases are: keys and secrets lie there.

    Raises:
        CommandError: It can't be.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CommandError(f"SHOP_HOME: {home} can't be written to: {error.strerror}", returncode=2) from error


def _become_server(address: str) -> NoReturn:
    """Replace this process by the server, which has nothing left over from the preparations."""
    command = [sys.executable, "-m", "shop.gateway.server", address]
    place = f"{address.replace(':', '-')}_{settings.PORT}"  # of this server alone: nobody else can listen there
    os.environ[FOLDER] = str(empty_folder(Path(settings.SHOP_HOME) / "metrics" / place))
    os.chdir(settings.BASE_DIR)
    os.execv(sys.executable, command)  # noqa: S606  our own interpreter, with arguments written here
