"""What a text in a request may hold, whichever framework reads it.

Control characters are no part of a name, a number or an address, but they forge lines in what is printed, mailed or
exported. Directions of writing (U+202E and the like) are data: people write so, and what shows a text isolates it.
"""

import re
from typing import Final

_LINE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_LINES: Final = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*")
REFUSAL: Final = "must not hold control characters"


def is_clean(text: str, *, lines: bool = False) -> bool:
    """Whether ``text`` is free of control characters; with ``lines`` it may have line breaks and tabs."""
    return (_LINES if lines else _LINE).fullmatch(text) is not None
