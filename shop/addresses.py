"""Addresses as the environment has them, read and checked: of databases, of other processes, of people."""

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

type Database = dict[str, Any]

BUSY_TIMEOUT_SECONDS: Final = 5
DATABASE_URL_FORMS: Final = "must be postgres://user:password@host:port/name or sqlite:///path"
STATEMENTS_AT_SQLITE_START: Final = (
    f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000};"
)
OURS_TO_SAY: Final = ("isolation_level", "pool")
OURS_AMONG_OPTIONS: Final = re.compile(r"idle_in_transaction_session_timeout|tcp_keepalives_\w+|plan_cache_mode")
"""What a database's URL can't set: `shop.sharding.postgresql` has to know how its connections are."""
SECOND_LINE: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""What the system itself notices of a dead connection; `shop.sharding.postgresql` is faster, and sees more."""


def parse_database_url(url: str, home: Path) -> Database:
    """Django's settings for one database.

    Args:
        url: ``postgres://user:pw@host:port/db?sslmode=…``, ``sqlite:////absolute/path`` or ``sqlite:///relative``.
        home: What a relative SQLite path is relative to.

    Raises:
        ValueError: Not such a URL. The message never repeats the password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its message may repeat the password
        raise ValueError(DATABASE_URL_FORMS) from None
    if parts.scheme == "sqlite" and not parts.netloc and parts.path.strip("/"):
        return {
            "ENGINE": "shop.sharding.sqlite3",
            "NAME": str(home / unquote(parts.path[1:])),
            "OPTIONS": {
                "timeout": BUSY_TIMEOUT_SECONDS,
                "transaction_mode": "IMMEDIATE",
                "init_command": STATEMENTS_AT_SQLITE_START,
            },
            "CONN_MAX_AGE": None,
            "TEST": {"DEPENDENCIES": []},
        }
    if parts.scheme in {"postgres", "postgresql"} and parts.path.strip("/"):
        try:
            port = parts.port
        except ValueError:
            raise ValueError("the port is not a number") from None
        return {
            "ENGINE": "shop.sharding.postgresql",
            "NAME": unquote(parts.path.strip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(port or ""),
            "OPTIONS": {**SECOND_LINE, **_options(parts.query)},
            "CONN_MAX_AGE": 0,  # given back to the pool
            "TEST": {"DEPENDENCIES": []},
        }
    raise ValueError(DATABASE_URL_FORMS)


def _options(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query))
    among: list[str] = OURS_AMONG_OPTIONS.findall(given.get("options", ""))
    refused = [*(name for name in OURS_TO_SAY if name in given), *(f"options={name}" for name in dict.fromkeys(among))]
    if refused:
        raise ValueError(f"{', '.join(refused)}: not for a URL to set, the shop needs it as it is")
    return given


def http_address(text: str) -> str:
    """``text``, an address like ``http://catalog:8000``, maybe with a path; without a slash at its end.

    Raises:
        ValueError: It is none.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or not text.isascii() or set(text) & set("@?#* \\"):
        raise ValueError("must be an address like http://catalog:8000")
    return text.rstrip("/")


def mail_address(text: str) -> str:
    """``text``, an address like ``shop@shop.example`` or ``Shop <shop@shop.example>``.

    Raises:
        ValueError: It is none, or more than one.
    """
    try:
        validate_email(parseaddr(text, strict=True)[1])
    except ValidationError:
        raise ValueError("must be an address like shop@shop.example or Shop <shop@shop.example>") from None
    return text
