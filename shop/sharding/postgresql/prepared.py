"""Statements prepared by hand and run by libpq itself: the driver's cursor costs more than a cheap statement's work.

`base` makes the cursors. Values go out as text, of whatever type the statement asks for there.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from psycopg import Binary, DataError, generators
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import FeatureNotSupported, error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.json import Jsonb

from shop.sharding.errors import ShardUnavailable

if TYPE_CHECKING:  # it comes in here
    from shop.sharding.postgresql.connection import Watched

type Row = tuple[Any, ...]
type Values = Mapping[str, Any] | Sequence[Any]

PLACE: Final = re.compile(r"%(?:\((\w+)\)s|s|%)")
ONE_PLAN: Final = b"SET plan_cache_mode = force_generic_plan"
"""What is prepared is planned once. Left to itself the server plans anew each time a list is among the values, for the
list's own length: that costs several times the work of the statement, and finds the same indexes."""
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED;"
DONE: Final = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})

OF_SESSION: Final = ("SET ", "RESET ", "LISTEN ", "PREPARE ", "LOAD ", "CREATE TEMP", "BEGIN", "START TRANS")
OF_TRANSACTION: Final = ("SET LOCAL ", "SET CONSTRAINTS ", "SET TRANSACTION ")


class Session:
    """One connection, and what it has prepared: a statement at its first use, under a name of its own."""

    def __init__(self, connection: "Watched") -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._rows = Transformer.from_context(connection)
        self._names: dict[str, bytes] = {}
        self._numbers = count()
        self._tables = connection.bulkhead.tables
        self._ask(partial(self._server.send_query, ONE_PLAN))

    def run(self, text: str, values: Values) -> list[Row]:
        """Rows of a statement whose values are written as for the driver: ``%s`` or ``%(name)s``.

        Raises:
            psycopg.Error: As the driver's cursor would.
            ShardUnavailable: A table is another since the statement was prepared, and a transaction is open.
        """
        prepared, names = _numbered(text)
        given: Sequence[Any] = [cast(Mapping[str, Any], values)[name] for name in names] if names else list(values)
        if not self._connection.autocommit and self._server.transaction_status == TransactionStatus.IDLE:
            self._ask(partial(self._server.send_query, BEGIN.encode()))
        result = self._answer(text, prepared, [as_text(value) for value in given])
        self._rows.set_pgresult(result)
        return self._rows.load_rows(0, result.ntuples, tuple)

    def _answer(self, text: str, prepared: bytes, values: list[bytes | None]) -> PGresult:
        known = self._names.get(text)
        name = known or b"shop_%d" % next(self._numbers)
        if known is None:
            self._ask(partial(self._server.send_prepare, name, prepared))
            self._names[text] = name
            self._connection.altered |= outlasts_transaction(text)
        try:
            return self._ask(partial(self._server.send_query_prepared, name, values))
        except FeatureNotSupported:
            if known is None:
                raise
            self._connection.bulkhead.tables += 1  # a column has another type now; nothing of the statement was done
            self.renew()
            if self._server.transaction_status != TransactionStatus.IDLE:
                alias = self._connection.bulkhead.alias
                raise ShardUnavailable(detail=f"a table of {alias} was changed; try again") from None
            return self._answer(text, prepared, values)

    def renew(self) -> None:
        """Forget what is prepared if a table was found to be another since; when it is used next."""
        if self._tables != self._connection.bulkhead.tables:
            self._names.clear()
            self._tables = self._connection.bulkhead.tables

    def begin_guarded(self, buckets: Sequence[int]) -> None:
        """Begin a transaction, unless one is open, and ask whether ``buckets`` may be written: one way there and back.

        Raises:
            psycopg.Error: They may not.
        """
        begins = not self._connection.autocommit and self._server.transaction_status == TransactionStatus.IDLE
        text = f"{BEGIN if begins else ''}SELECT shop_guard({', '.join(map(str, buckets))})"
        self._ask(partial(self._server.send_query, text.encode()))

    def _ask(self, send: Callable[[], None]) -> PGresult:
        """What the server answers to what is sent. Waited for by the connection, which knows what silence means."""
        for result in (results := self._connection.wait(_sent(self._server, send))):
            if result.status not in DONE:
                raise error_from_result(result)
        return results[-1]


def _sent(server: PGconn, send: Callable[[], None]) -> PQGen[list[PGresult]]:
    send()
    answers: list[PGresult] = yield from generators.execute(server)
    return answers


class PreparedCursor:
    """As much of a cursor as Django wraps and statements written by hand need: one statement, all its rows."""

    _query = None  # Django's debug cursor asks what was sent last

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session
        self._found: list[Row] = []

    def execute(self, text: str, values: Values = ()) -> None:
        """Run a statement, on the connection that its thread has now."""
        self._found = self._session().run(text, values)

    def fetchall(self) -> list[Row]:
        """Its rows; none where it gives none."""
        return self._found

    def close(self) -> None:
        """Nothing is held."""


def outlasts_transaction(text: str) -> bool:
    """Whether a statement changes its session, as far as one can see: a setting, a lock, its own BEGIN."""
    if text[:12].lstrip().upper().startswith(OF_SESSION):
        return not text.lstrip().upper().startswith(OF_TRANSACTION)
    return "advisory_lock" in text or ("set_config" in text and "false" in text)


@cache
def _numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    """``text`` with ``$1``, ``$2`` … for its values, and their names in that order where they have some."""
    names: dict[str, int] = {}
    count = iter(range(1, 1_000))

    def place(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        if found[1] is None:
            return f"${next(count)}"
        return f"${names.setdefault(found[1], len(names) + 1)}"

    return PLACE.sub(place, text).encode(), tuple(names)


def as_text(value: Any) -> bytes | None:
    """A value as PostgreSQL reads it.

    Raises:
        psycopg.DataError: A text holds a NUL, which would end it there.
        TypeError: No statement has had such a value so far.
    """
    return None if value is None else _writer_of(value)(value).encode()


def _writer_of(value: Any) -> Callable[[Any], str]:
    kind = type(value)
    known = _WRITERS.get(kind)
    if known is None:
        known = _WRITERS[kind] = _inherited(kind)
    return known


def _inherited(kind: type) -> Callable[[Any], str]:
    """How a class is written that comes from one of the known ones: a choice's text, a number with a size."""
    for known in kind.__mro__:
        if known in _WRITERS:
            return _WRITERS[known]
    raise TypeError(f"{kind.__name__} in a prepared statement: not known here")


def _text(value: str) -> str:
    text = str(value)
    if "\0" in text:
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return text


def _array(values: Sequence[Any]) -> str:
    return "{" + ",".join(map(_item, values)) + "}"


def _item(value: Any) -> str:
    if value is None:
        return "NULL"
    text = _writer_of(value)(value)
    if isinstance(value, int):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json(value: Jsonb) -> str:
    return str((value.dumps or json.dumps)(value.obj))


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda value: "t" if value else "f",
    int: int.__repr__,  # that of a number with a size names the size
    str: _text,
    bytes: lambda value: f"\\x{value.hex()}",
    Binary: lambda value: f"\\x{bytes(value.obj).hex()}",
    datetime: datetime.isoformat,
    UUID: str,
    Jsonb: _json,
    list: _array,
}
