"""Reading the environment, and what a context adds to a process. `config` and `contexts/*/settings` come in."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

type Database = dict[str, Any]

BUSY_TIMEOUT_SECONDS: Final = 5
MAX_DIGITS: Final = 19
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


class SettingsError(Exception):
    """The environment is wrong. ``problems`` lists every fault, each by the name of its variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Env:
    """Typed environment variables. Faults are collected; `close` reports them all at once."""

    def __init__(self, source: Mapping[str, str] = os.environ) -> None:
        self._source = source
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """Value of ``name``; an empty variable counts as unset."""
        return self._source.get(name, "").strip() or default

    def words(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Comma-separated values, blanks removed."""
        given = self.text(name)
        return tuple(word.strip() for word in given.split(",") if word.strip()) if given else tuple(default)

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        given = self.text(name)
        if not given:
            return default
        digits = given.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS and low <= int(given) <= high):
            self.problems.append(f"{name}: must be a whole number from {low} to {high}, not {given!r}")
            return default
        return int(given)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """``1``/``true``/``yes``/``on`` or ``0``/``false``/``no``/``off``."""
        given = self.text(name).lower()
        if not given:
            return default
        if given not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            self.problems.append(f"{name}: must be 1 or 0, not {given!r}")
        return given in {"1", "true", "yes", "on"}

    def choice(self, name: str, default: str, allowed: Iterable[str]) -> str:
        """One of ``allowed``."""
        given = self.text(name, default)
        if given not in (names := tuple(allowed)):
            self.problems.append(f"{name}: must be one of {', '.join(names)}, not {given!r}")
            return default
        return given

    def databases(self, context: str, home: Path) -> dict[str, Database]:
        """Aliases ``<context>_0, _1, …`` from ``<CONTEXT>_DATABASES``; unset: two SQLite files in ``home``."""
        name = f"{context.upper()}_DATABASES"
        urls = self.words(name, [f"sqlite:///{context}_{n}.sqlite3" for n in range(2)])
        found: dict[str, Database] = {}
        for position, url in enumerate(urls):
            try:
                found[f"{context}_{position}"] = parse_database_url(url, home)
            except ValueError as error:
                self.problems.append(f"{name}: entry {position + 1}: {error}")
        if not urls:
            self.problems.append(f"{name}: names no database")
        places = [(d["ENGINE"], str(d["NAME"]), d.get("HOST"), d.get("PORT")) for d in found.values()]
        if len(set(places)) < len(places):
            self.problems.append(f"{name}: the same database is named twice")
        return found

    def checked[T](self, name: str, read: Callable[[str], T], default: T) -> T:
        """``read`` applied to the value of ``name``; its ``ValueError`` becomes a reported problem."""
        given = self.text(name)
        if not given:
            return default
        try:
            return read(given)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return default

    def close(self) -> None:
        """Report everything that was wrong.

        Raises:
            SettingsError: Something was.
        """
        if self.problems:
            raise SettingsError(self.problems)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What one context adds to a process. Closed on purpose: no other setting is its business.

    Attributes:
        installed_apps: Django apps it brings besides itself.
        values: Its own typed settings, under the names of their variables.
    """

    installed_apps: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


def merge(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All parts as one mapping.

    Raises:
        SettingsError: A key is set twice.
    """
    merged: dict[str, Any] = {}
    for part in parts:
        if clash := merged.keys() & part.keys():
            raise SettingsError([f"{name}: set twice" for name in sorted(clash)])
        merged.update(part)
    return merged


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def write_once(path: Path, text: str) -> None:
    """Write a file that only this account may read, whole or not at all; whoever comes second keeps the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
