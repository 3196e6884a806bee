"""Reading the environment, and what a context adds to a process. `config` and `contexts/*/settings` come in."""

import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

type Database = dict[str, Any]

BUSY_TIMEOUT_SECONDS: Final = 5
MAX_DIGITS: Final = 19
DATABASE_URL_FORMS: Final = "must be postgres://user:password@host:port/name or sqlite:///path"
STATEMENTS_AT_SQLITE_START: Final = (
    f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000};"
)
PREPARED_ON_POSTGRESQL: Final = {"prepare_threshold": 0}
"""Statements written by hand are prepared at first use; the ORM's are bound by the client, which prepares nothing."""


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
            "ENGINE": "django.db.backends.sqlite3",
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
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.strip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(port or ""),
            "OPTIONS": {"connect_timeout": 3, **PREPARED_ON_POSTGRESQL, **dict(parse_qsl(parts.query))},
            "CONN_MAX_AGE": None,
            "CONN_HEALTH_CHECKS": True,
            "TEST": {"DEPENDENCIES": []},
        }
    raise ValueError(DATABASE_URL_FORMS)


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
