"""Asking several databases at once. One that does not answer costs its own answer, and its own time, only."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError, InterfaceError, connections

from shop.sharding.databases import in_use
from shop.sharding.first_migrate import ForeignDatabase

AT_ONCE: Final = 8


class Refused(Exception):
    """A command may not do what was asked; ``reasons`` say why, each with what to do."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers[R]:
    """By alias: what was answered, and why those who did not answer did not."""

    given: dict[str, R]
    missing: dict[str, str]


def ask_each[R](aliases: Iterable[str], ask: Callable[[str], R]) -> Answers[R]:
    """``ask(alias)`` of each, in threads of their own; in the caller's, if it has a transaction open."""
    names = list(aliases)
    if len(names) < 2 or any(known.in_atomic_block for known in in_use()):  # noqa: PLR2004
        return _sorted(names, [_try(ask, alias) for alias in names])
    with ThreadPoolExecutor(min(AT_ONCE, len(names)), thread_name_prefix="shards") as pool:
        return _sorted(names, list(pool.map(lambda alias: _alone(ask, alias), names)))


def _alone[R](ask: Callable[[str], R], alias: str) -> R | Exception:
    try:
        return _try(ask, alias)
    finally:
        connections.close_all()


def _try[R](ask: Callable[[str], R], alias: str) -> R | Exception:
    try:
        return ask(alias)
    except (DatabaseError, InterfaceError, ForeignDatabase, OSError) as error:
        return error


def _sorted[R](aliases: Sequence[str], answers: Sequence[R | Exception]) -> Answers[R]:
    given: dict[str, R] = {}
    missing: dict[str, str] = {}
    for alias, answer in zip(aliases, answers, strict=True):
        if isinstance(answer, Exception):
            missing[alias] = reason_of(answer)
        else:
            given[alias] = answer
    return Answers(given=given, missing=missing)


def reason_of(error: Exception) -> str:
    """One line that holds no secret: drivers name host, port and database, never a password."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
