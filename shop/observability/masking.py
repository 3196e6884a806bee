"""What an error says without what it quotes: the messages of libraries and databases repeat what people sent."""

import re
from typing import Final

MASK: Final = "…"
_NAMES: Final = "column|constraint|database|function|index|relation|role|schema|sequence|table|type"
_QUOTED: Final = re.compile(
    rf"""(?P<name>\b(?:{_NAMES})\ "[^"]*")    # of the schema, hence ours
    |".*                                       # a value; it may hold quotes itself, so the rest of the line goes
    |(?<!\w)'.*                               # the same, but no apostrophe
    |[^\s,;:<>()\[\]]+@[^\s,;:<>()\[\]]+      # an e-mail address""",
    re.VERBOSE,
)


def masked(message: str) -> str:
    """The first line of ``message``, with what stands in quotes left out, unless it is a name of the schema."""
    first, *_ = message.splitlines() or [""]
    return _QUOTED.sub(lambda found: found["name"] or MASK, first)
