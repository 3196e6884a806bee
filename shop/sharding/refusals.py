"""What the fence says, understood: the database's own error becomes `ShardMoved`. The backends come in here."""

import re
from types import TracebackType
from typing import Final, override

from django.db.utils import DatabaseErrorWrapper

from shop.sharding.errors import ShardMoved

REFUSED_STATE: Final = "SH001"
REFUSED_WORDS: Final = "shop: this database does not own the row's bucket"
"""SQLite has no states: there, a constraint is broken that says these words."""
EPOCH: Final = re.compile(r"epoch (\d+)")


class ErrorsTold(DatabaseErrorWrapper):
    """Around every word with a database: its errors as Django's, and the fence's as ours."""

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and (moved := _refusal(error)):
            raise moved from error
        super().__exit__(kind, error, traceback)


def _refusal(error: BaseException) -> ShardMoved | None:
    if getattr(error, "sqlstate", None) == REFUSED_STATE:
        found = EPOCH.search(getattr(error, "diag").message_detail or "")  # noqa: B009  psycopg's, which not all have
        return ShardMoved(epoch=int(found[1]) if found else 0, detail="its rows are moving; try again")
    if error.args == (REFUSED_WORDS,):
        return ShardMoved(epoch=0, detail="its rows are moving; try again")
    return None
