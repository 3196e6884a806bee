"""Which invariants there are in this process: the kernel's, and those of the contexts that it hosts."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from shop.invariants.words import Check, Invariant

NUMBERS: Final = tuple(str(number) for number in range(1, 13))
"""The twelve. What a context adds beside them has a word for its name."""

_declared: dict[tuple[str, str], Invariant] = {}


def invariant(
    name: str,
    title: str,
    *checks: Check[Any],
    context: str = "",
    under_way: Callable[[datetime], bool] | None = None,
) -> None:
    """Declare what must hold, or a context's part of it; see `Invariant`."""
    _declared[name, context] = Invariant(name=name, title=title, context=context, checks=checks, under_way=under_way)


def declared() -> list[Invariant]:
    """All of this process: the twelve by their numbers, then the others."""
    return sorted(_declared.values(), key=lambda each: (_place(each.name), each.name))


def _place(name: str) -> int:
    return NUMBERS.index(name) if name in NUMBERS else len(NUMBERS)


def not_here() -> Sequence[str]:
    """Those of the twelve that nobody in this process can look at: their context is not hosted here."""
    here = {name for name, _ in _declared}
    return [name for name in NUMBERS if name not in here]
