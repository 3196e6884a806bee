"""Statements of the shop as pgbench takes them: values as literals, IDs as variables. `record` comes in here."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import singledispatch
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from psycopg import Binary
from psycopg.types.json import Json, Jsonb

from scripts.benches.recorded import NAMED, Recorded
from shop.sharding.ids import BUCKET_SHIFT, WORKER_BITS

LEAST_ID: Final = 1 << 45
"""Smaller numbers are amounts and counts: an ID holds its moment above its lowest ten bits."""
DUE_AT: Final = "shop_outboxevent.available_at"
LATER: Final = "now() + interval '1 day'"
"""When an event is due that nobody is to deliver: the relay passes over it."""
NEW: Final = re.compile(r":(new_\d+)")
APART: Final = 500 << BUCKET_SHIFT
"""How far the clients' IDs lie from each other: in other buckets, as those of customers do."""


class Writer:
    """Writes the statements of one request; the same ID is the same variable in all of them."""

    def __init__(self, looked_for: dict[int, str], key: str) -> None:
        """Take what is known of the IDs.

        Args:
            looked_for: Variables by ID, of what is there already; without a variable the ID stays as it is.
            key: The Idempotency-Key that was sent; each run of the script has another.
        """
        self._variables = dict(looked_for)
        self._known = len(looked_for)
        self._key = key

    def script(self, text: str, values: Any, kinds: list[str]) -> str:
        """One statement of a script; ``kinds`` says what each value is, as `recorded.numbered` does."""
        if isinstance(values, dict):
            written = NAMED.sub(lambda found: self._value(values[found[1]]), text)
        else:
            first, *parts = text.split("%s")
            given = (LATER if kind == DUE_AT else self._value(value) for kind, value in zip(kinds, values, strict=True))
            written = first + "".join(value + part for value, part in zip(given, parts, strict=True))
        return " ".join(written.split()) + ";"

    def _value(self, value: Any) -> str:
        if isinstance(value, list | tuple):
            cast = "::bigint[]" if all(isinstance(each, int) for each in value) else ""
            return f"ARRAY[{', '.join(self._value(each) for each in value)}]{cast}"
        if isinstance(value, int) and not isinstance(value, bool):
            return self._number(value)
        if value == self._key:
            return "'bench-' || :new_0"
        return _literal(value)

    def _number(self, value: int) -> str:
        if abs(value) < LEAST_ID:
            return str(value)
        variable = self._variables.setdefault(value, f"new_{len(self._variables) - self._known}")
        return f":{variable}" if variable else str(value)


def _quoted(text: str) -> str:
    """A literal without a colon: pgbench would take what follows one for a variable, even in quotes."""
    escaped = text.replace("'", "''")
    return "U&'" + escaped.replace("\\", "\\\\").replace(":", "\\003a") + "'" if ":" in text else f"'{escaped}'"


def _moment(value: datetime) -> str:
    """A time, as far ahead of the run as it was of the recording: a payment's deadline must not be over at once."""
    ahead = round((value - datetime.now(UTC)).total_seconds())
    return f"now() + interval '{ahead} seconds'" if ahead > 0 else "now()"


@singledispatch
def _literal(value: Any) -> str:
    raise TypeError(f"{type(value).__name__} in a statement: not known here")


_literal.register(type(None), lambda _: "NULL")
_literal.register(bool, str)
_literal.register(str, _quoted)
_literal.register(UUID, lambda value: _quoted(str(value)))
_literal.register(datetime, _moment)
_literal.register(bytes, lambda value: f"'\\x{value.hex()}'::bytea")
_literal.register(Binary, lambda value: f"'\\x{bytes(value.obj).hex()}'::bytea")
_literal.register(Json, lambda value: _quoted(json.dumps(value.obj)))
_literal.register(Jsonb, lambda value: _quoted(json.dumps(value.obj)))


def write(folder: Path, name: str, statements: Iterable[Recorded], wanted: Sequence[Sequence[int]]) -> None:
    """Write the scripts of ``name``, one for each of ``wanted``: the IDs to look for.

    pgbench counts ``n`` up in each client; ``base`` sets its runs apart.
    """
    body = "\n".join(_in_transactions(statements))
    new = sorted(set(NEW.findall(body)), key=lambda variable: int(variable.removeprefix("new_")))
    heads = ["\\set n :n + 1"]
    heads += [
        f"\\set {variable} :client_id * {APART} + (:base + :n) * {1 << WORKER_BITS} + {place}"
        for place, variable in enumerate(new)
    ]
    for number, ids in enumerate(wanted):
        sets = [f"\\set wanted_{place} {each}" for place, each in enumerate(sorted(ids))]
        (folder / f"{name}-{number:02}.sql").write_text("\n".join([*heads, *sets, body, ""]))


def _in_transactions(statements: Iterable[Recorded]) -> list[str]:
    written: list[str] = []
    for together, group in groupby(statements, key=lambda each: each.together):
        scripts = [each.script for each in group]
        written += ["BEGIN;", *scripts, "COMMIT;"] if together else scripts
    return written
