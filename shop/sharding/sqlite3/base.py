"""Django's backend for SQLite, which asks the guard's question, and tells what the fence refuses. Named as ENGINE."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, override

from django.db.backends.sqlite3 import base, operations

from shop.sharding.asked import note_asked
from shop.sharding.deadlines import is_over
from shop.sharding.errors import ShardMoved
from shop.sharding.refusals import ErrorsTold

SLICES: Final = '"shop_shardslice"'
NOT_OWNED: Final = f"""
SELECT coalesce(slice.epoch, 0) FROM json_each(?) AS bucket
  LEFT JOIN {SLICES} AS slice ON slice.lo <= bucket.value AND slice.hi >= bucket.value
 WHERE slice.owned IS NOT TRUE LIMIT 1
"""  # noqa: S608  our own name


STEPS: Final = 10_000
"""Of SQLite's machine between two looks at the clock: less than a millisecond."""


class DatabaseOperations(operations.DatabaseOperations):
    """Django's, but for what has to be deleted last."""

    @override
    def sql_flush(self, style: Any, tables: Sequence[str], **options: Any) -> list[str]:
        """Statements that empty ``tables``; the slices go last, by which the fence lets the others go."""
        return sorted(super().sql_flush(style, tables, **options), key=lambda statement: SLICES in statement)


class DatabaseWrapper(base.DatabaseWrapper):
    """What Django talks to; one per thread and alias."""

    ops_class = DatabaseOperations

    @override
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.set_progress_handler(is_over, STEPS)
        return connection

    def _prepare_cursor(self, cursor: Any) -> Any:  # Django's, which its stubs leave out
        note_asked(self.alias)
        return super()._prepare_cursor(cursor)  # type: ignore[misc]  # as above

    def begin_guarded(self, buckets: Sequence[int]) -> None:
        """In the transaction that Django has begun, ask the guard's question: see `shop.sharding.guard`."""
        with self.wrap_database_errors:
            refused = self.connection.execute(NOT_OWNED, [json.dumps(list(buckets))]).fetchone()
        if refused:
            raise ShardMoved(epoch=refused[0], detail=f"{self.alias} does not own it; try again")

    @cached_property
    def wrap_database_errors(self) -> ErrorsTold:
        """Django's way around every word with the database."""
        return ErrorsTold(self)
