"""A partition of the contexts: what is typed, and what each process is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from config.hosting import KNOWN_CONTEXTS, NONE

INSIDE: Final = "127.0.0.1"
EVERYWHERE: Final = {"0.0.0.0": INSIDE, "::": "::1"}  # noqa: S104  what an operator may ask for
WAITS: Final = "32"
"""Threads of a gateway, which does nothing but wait for others."""


class BadPartition(ValueError):
    """What was typed is none; the text says why."""


def groups_of(text: str) -> list[tuple[str, ...]]:
    """Contexts by process: ``auth,catalog+ordering`` is ``[("auth",), ("catalog", "ordering")]``.

    Raises:
        BadPartition: A context is unknown, missing, or named twice.
    """
    groups = [tuple(name.strip() for name in group.split("+")) for group in text.split(",")]
    named = [name for group in groups for name in group]
    if unknown := [name for name in named if name not in KNOWN_CONTEXTS]:
        raise BadPartition(f"{unknown[0]!r} is no context; there are {', '.join(KNOWN_CONTEXTS)}")
    if twice := [name for name in KNOWN_CONTEXTS if named.count(name) > 1]:
        raise BadPartition(f"{twice[0]} is named twice")
    if missing := [name for name in KNOWN_CONTEXTS if name not in named]:
        raise BadPartition(f"{missing[0]} is missing; every context is named once")
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One server of a topology; without contexts it is the gateway."""

    name: str
    contexts: tuple[str, ...]
    port: int
    host: str = INSIDE

    @property
    def url(self) -> str:
        """Where it answers, as seen from this machine."""
        host = EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def parts_of(groups: Sequence[tuple[str, ...]], host: str, port: int, free_ports: Sequence[int]) -> list[Part]:
    """Servers for ``groups``, the gateway last; a shop in one process needs none and is at ``port`` itself.

    Only who is for clients listens at ``host``: what is behind a gateway has internal addresses.
    """
    if len(groups) == 1:
        return [Part(name="shop", contexts=groups[0], host=host, port=port)]
    parts = [Part(name="+".join(group), contexts=group, port=at) for group, at in zip(groups, free_ports, strict=False)]
    return [*parts, Part(name="gateway", contexts=(), host=host, port=port)]


def environment_of(part: Part, parts: Sequence[Part], given: Mapping[str, str]) -> dict[str, str]:
    """What a process of ``part`` is told beside what all are ``given``."""
    others = [each for each in parts if each is not part]
    urls = {f"{name.upper()}_URL": each.url for each in others for name in each.contexts}
    own = {"CONTEXTS": ",".join(part.contexts)} if part.contexts else {"CONTEXTS": NONE, "SERVER_THREADS": WAITS}
    return {**given, **urls, **own, "HOST": part.host, "PORT": str(part.port)}
