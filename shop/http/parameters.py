"""Query parameters as the API's document shows them. The contexts' `api`, the route table and the document come in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One query parameter. What comes in it is checked where it is read.

    Attributes:
        name: Behind the `?`.
        schema: JSON Schema of what may come.
        description: For people.
        required: Whether the request is refused without it.
    """

    name: str
    schema: Mapping[str, Any]
    description: str
    required: bool = False
