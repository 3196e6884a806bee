"""What a check says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something is wrong.

    Attributes:
        check: Its name, stable for programs.
        place: A database's alias, or a context.
        what: For people.
        do: What to do about it.
    """

    check: str
    place: str
    what: str
    do: str
