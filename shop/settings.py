"""Reading the environment, and what a context adds to a process. `config` and `contexts/*/settings` come in."""

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shop.addresses import Database, parse_database_url

MAX_DIGITS: Final = 19


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
