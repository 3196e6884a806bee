"""Everything that is stored anywhere, as text: every column of every table of every database, found by itself."""

import json
from collections.abc import Collection, Iterator
from typing import Any

from django.db import connections
from django.db.backends.utils import CursorWrapper

from contexts.ordering.services.providers.fake_books import books
from shop.sharding.readiness import all_aliases


def places_of(*words: str) -> dict[str, list[str]]:
    """Where each word stands, whatever its case: ``alias.table.column``; nowhere: an empty list."""
    found: dict[str, set[str]] = {word: set() for word in words}
    for place, text in _everything():
        for word, places in found.items():
            if word.casefold() in text:
                places.add(place)
    return {word: sorted(places) for word, places in found.items()}


def _everything() -> Iterator[tuple[str, str]]:
    for alias in all_aliases():
        connection = connections[alias]
        with connection.cursor() as cursor:
            yield from _tables(cursor, alias, connection.introspection.table_names(cursor))
    with books() as cursor:
        yield from _tables(cursor, "fake_provider", ("fake_intent", "fake_refund"))


def _tables(cursor: CursorWrapper, alias: str, tables: Collection[str]) -> Iterator[tuple[str, str]]:
    for table in tables:
        cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  a name from the database itself
        columns = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            yield from ((f"{alias}.{table}.{name}", _text(value)) for name, value in zip(columns, row, strict=True))


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode(errors="replace").casefold()
    return (json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)).casefold()
