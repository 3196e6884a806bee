"""The words: what is declared, what is looked at, what is found. The rest of the floor comes in here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db.models import Model

from shop.sharding.public_ids import public_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that breaks an invariant.

    Attributes:
        ids: Public IDs of all that is at fault; what was looked at stands first. By these a second look knows it again.
        detail: What is wrong, in a line; no personal data.
    """

    ids: tuple[str, ...]
    detail: str


class Part(Protocol):
    """So much as is looked at in one go, and can be looked at again by itself."""

    @property
    def rows(self) -> int:
        """How many things that are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Check[P: Part]:
    """How one kind of thing is looked at. Reads only.

    Attributes:
        places: What has to answer: aliases of databases, or the name of somebody else who is asked.
        parts: All there is at a place, in parts that fit into memory.
        look: What is wrong in a part now.
    """

    places: Callable[[], Sequence[str]]
    parts: Callable[[str], Iterator[P]]
    look: Callable[[P], Iterable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """What must hold.

    Attributes:
        name: Its number, or a word where it is none of the twelve. Several contexts may each declare a part of one.
        title: What holds, in a line.
        context: Who looks: calls to other contexts are made in its name. Empty: the kernel.
        checks: How it is looked at.
        under_way: Whether work that was begun before a moment is still to be finished, which may put a finding right:
            it is waited for. None: whatever is found holds as soon as it was seen twice.
    """

    name: str
    title: str
    context: str
    checks: tuple[Check[Any], ...]
    under_way: Callable[[datetime], bool] | None


def shown(model: type[Model], key: int) -> str:
    """The public ID of a row; one whose kind the public never sees is named by its table."""
    return public_id(getattr(model, "id_prefix", "") or str(model._meta.model_name), key)
