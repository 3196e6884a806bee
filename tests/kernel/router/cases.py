"""What a case of the router's table is: what one writes, and what comes of it."""

from dataclasses import dataclass
from typing import Literal

type Where = Literal["nowhere", "tea's shard", "far's shard"]
"""In which transaction it is written: none, `shard_atomic(…, tea.pk)` or `shard_atomic(…, far.pk)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table; see `world` for the names that ``code`` uses.

    Attributes:
        title: What it is about.
        code: What one writes.
        gives: Expression for what ``code`` answers with; compared by value, so a copy elsewhere is not the same.
        then: Expression that is true afterwards.
        refused: Name of the error, where it is refused.
        says: What the error's text tells the caller; stands in the page.
        inside: The transaction around it.
        note: What the page says besides.
        moves: It changes the map, so another database's rows may change.
    """

    title: str
    code: str
    gives: str = ""
    then: str = ""
    refused: str = ""
    says: str = ""
    inside: Where = "nowhere"
    note: str = ""
    moves: bool = False

    def __str__(self) -> str:
        return self.title

    @property
    def outcome(self) -> str:
        """As the page tells it."""
        told = f"refused, `{self.refused}`: {self.says}" if self.refused else "routed"
        return f"{told}; {self.note}" if self.note else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A table of the page."""

    title: str
    text: str
    cases: tuple[Case, ...]


def read(title: str, code: str, gives: str, *, note: str = "") -> Case:
    """It finds what there is, at its owner."""
    return Case(title=title, code=code, gives=gives, note=note)


def write(title: str, code: str, then: str, *, note: str = "") -> Case:
    """It writes on tea's shard, in a transaction there."""
    return Case(title=title, code=code, then=then, inside="tea's shard", note=note)


def refusal(title: str, code: str, error: str, says: str, *, inside: Where = "nowhere", note: str = "") -> Case:
    """It is refused, and nothing has changed anywhere."""
    return Case(title=title, code=code, refused=error, says=says, inside=inside, note=note)
