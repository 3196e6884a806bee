"""The SQL that the shop sends, as its peers take it: texts with ``$1``, and what each value is.

Written by `record`, read by `peer` and `pgbench`: whatever the shop asks its databases today, they ask the same.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

NAMED: Final = re.compile(r"%\((\w+)\)s")
PLACES: Final = re.compile(r'INSERT INTO "(\w+)" \(([^)]*)\) (SELECT \* FROM unnest)?|"(\w+)" = \(?%s|%s')
"""What says which columns the next values are of, a column that is compared or changed, a value."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One statement.

    Attributes:
        context: Whose database it is for.
        together: Whether it runs in one transaction with its neighbours that say so too.
        text: With a ``$`` and a number for each value.
        values: What each value is: ``table.column`` of what is inserted, ``table.column[]`` where it is a list of one
            per row, ``=column`` of what is changed or looked for, or its name in a statement written by hand.
        script: The same for pgbench, with variables for the IDs that are new each time and for what is looked for.
    """

    context: str
    together: bool
    text: str
    values: list[str]
    script: str


@dataclass(frozen=True, kw_only=True)
class Book:
    """All that was recorded: the statements of placing an order in their order, and of two reads."""

    place: list[Recorded]
    order: list[Recorded]
    product: list[Recorded]

    def save(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it."""
        given: dict[str, list[dict[str, Any]]] = json.loads(path.read_text())
        return cls(**{name: [Recorded(**each) for each in statements] for name, statements in given.items()})


def numbered(text: str) -> tuple[str, list[str]]:
    """``text`` with ``$1``, ``$2`` … for its values, and what they are.

    Raises:
        ValueError: It is of a form that is not known here.
    """
    if NAMED.search(text):
        names = list(dict.fromkeys(NAMED.findall(text)))
        return NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", text), names
    values: list[str] = []
    columns: list[str] = []
    for found in PLACES.finditer(text):
        table, inserted, lists, compared = found.groups()
        if table:
            columns += [f"{table}.{name.strip(' "')}{'[]' if lists else ''}" for name in inserted.split(",")]
        elif compared:
            values.append(f"={compared}")
        elif columns:
            values.append(columns.pop(0))
        else:
            raise ValueError(f"value {len(values) + 1} is not known in {text}")
    parts = text.split("%s")
    return parts[0] + "".join(f"${n}{part}" for n, part in enumerate(parts[1:], start=1)), values
