"""Statements written by hand, for what is asked most: one per database and request, prepared on PostgreSQL.

A context's `models` define them, its `services` run them. Everything else is the ORM's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Self

from django.db import connections

from shop.sharding.ids import BUCKET_SHIFT
from shop.sharding.scope import current_scope, rerouted, shard_atomic, single_statement
from shop.sharding.shard_map import alias_of

type Row = tuple[Any, ...]

_BUCKETS: Final = f"ARRAY(SELECT (id >> {BUCKET_SHIFT})::int FROM unnest(%(ids)s) id)"  # noqa: S608  our own number
GUARD_IDS: Final = f"SELECT shop_guard(VARIADIC {_BUCKETS})"
"""For a statement on PostgreSQL that writes rows ``ids`` in many buckets: it asks once, where the triggers would for
each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The same question, or the same change, for both engines.

    Attributes:
        postgresql: One text with ``%(name)s`` for its values; a list of numbers is an array there.
        sqlite: The texts that do the same one after another, the last one answering; a list is JSON there.
    """

    postgresql: str
    sqlite: tuple[str, ...]

    @classmethod
    def shared(cls, text: str) -> Self:
        """A statement that differs only in words, said as SQLite does: its JSON functions, its list of numbers."""
        postgresql = (
            text.replace("json_group_array(", "json_agg(")
            .replace("json_array(", "json_build_array(")
            .replace("IN (SELECT value FROM json_each(%(ids)s))", "= ANY(%(ids)s)")
        )
        return cls(postgresql=postgresql, sqlite=(text,))

    def read(self, context: str, key: int, **values: Any) -> list[Row]:
        """Rows that the shard of ``key`` answers with. Times of SQLite are text: see `moment`."""
        return self._on(alias_of(context, key), values)

    def write(self, context: str, *keys: int, **values: Any) -> list[Row]:
        """Run it on the shard of ``keys``, in the open transaction or as one of its own; returns its rows.

        With one key it finds its shard even where the map is old. Of several, the caller has to group them anew.

        Raises:
            MixedShards: A transaction is open on another shard.
            ShardMoved: The shard does not own the rows: see `rerouted`.
        """
        work = partial(self._write, context, keys, values)
        return rerouted(context, work) if len(keys) == 1 else work()

    def _write(self, context: str, keys: Sequence[int], values: dict[str, Any]) -> list[Row]:
        alias = alias_of(context, keys[0])
        if current_scope() is None and connections[alias].vendor == "postgresql":
            with single_statement(context, keys[0]):
                return self._on(alias, values)
        with shard_atomic(context, *keys) as scope:
            return self._on(scope.alias, values)

    def _on(self, alias: str, values: dict[str, Any]) -> list[Row]:
        connection = connections[alias]
        texts = (self.postgresql,) if connection.vendor == "postgresql" else self.sqlite
        stored = {name: _as_stored(connection, value) for name, value in values.items()}
        with prepared_cursor(connection) as cursor:
            for text in texts:
                cursor.execute(text, stored)
            found: list[Row] = cursor.fetchall()
            return found


def prepared_cursor(connection: Any) -> Any:
    """Django's cursor, on PostgreSQL one whose texts are prepared; the ORM's own binds values in the client.

    The setting `server_side_binding` would do that for the ORM too, which then sends a number by the size of the field
    it guesses: 2⁶² goes out as 32 bits, without a word.
    """
    return connection.prepared_cursor() if connection.vendor == "postgresql" else connection.cursor()


def _as_stored(connection: Any, value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, list) and connection.vendor != "postgresql":
        return json.dumps(value)
    return value


def moment(stored: datetime | str) -> datetime:
    """A time as a statement's row has it: a value, or text within JSON; SQLite's say no zone, and mean UTC."""
    found = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parsed(stored: Any) -> Any:
    """JSON as a statement's row has it: text, or what PostgreSQL's driver has read already; nothing where NULL."""
    return json.loads(stored) if isinstance(stored, str) else [] if stored is None else stored
