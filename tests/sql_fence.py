"""Every statement of a test is parsed: it may touch only tables of its database's context and of the acting one."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlglot
from django.db.backends.utils import CursorWrapper
from sqlglot import exp
from sqlglot.errors import ParseError

from shop.services import acting_context
from shop.sharding import context_of_alias, hosted_contexts

DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres"}
UNPARSED = (
    "SAVEPOINT",
    "RELEASE SAVEPOINT",
    "ROLLBACK TO SAVEPOINT",
    "PRAGMA",
    "SET CONSTRAINTS",
    "BEGIN",
    "COMMIT",
)
NULLS = re.compile(r"NULL(?:, NULL)+")
ROWS = re.compile(r"\(NULL\)(?:, \(NULL\))+")
"""Many values name no more tables than one does, and take long to be parsed."""


def tables_in(sql: str, dialect: str) -> frozenset[str]:
    """Names of all tables that ``sql`` mentions."""
    if sql.lstrip().upper().startswith(UNPARSED) and ";" not in sql:
        return frozenset()
    plain = re.sub(r"%s|%\(\w+\)s", "NULL", sql).replace("%%", "%")
    return _parsed(ROWS.sub("(NULL)", NULLS.sub("NULL", plain)), dialect)


@cache
def _parsed(sql: str, dialect: str) -> frozenset[str]:
    try:
        statements = [statement for statement in sqlglot.parse(sql, dialect=dialect) if statement is not None]
    except ParseError:  # a virtual table's options, a trigger's body: every word may be a table
        return frozenset(re.findall(r"\w+", sql.lower()))
    if any(statement.find(exp.Command) for statement in statements):  # EXPLAIN, LOCK: not taken apart
        return frozenset(re.findall(r"\w+", sql.lower()))
    return frozenset(table.name.lower() for statement in statements for table in statement.find_all(exp.Table))


def owner_of_table(table: str) -> str | None:
    """Context that a table's name says it belongs to."""
    return next((name for name in hosted_contexts() if table.startswith(f"shop_{name}_")), None)


class SqlFence:
    """Collects statements that climb over a context's border."""

    def __init__(self, allowed: str | None = None) -> None:
        self.allowed = allowed
        self.violations: list[str] = []

    def look(self, sql: str, alias: str, vendor: str) -> None:
        """Note what is wrong with one statement."""
        here = context_of_alias(alias)
        for table in tables_in(sql, DIALECTS[vendor]):
            owner = owner_of_table(table)
            if owner is None:
                continue
            if owner != here:
                self.violations.append(f"{table} of {owner} is asked for on {alias}: {sql}")
            elif (acting := acting_context()) and acting != owner:
                self.violations.append(f"{acting} touches {table} of {owner}: {sql}")
            elif self.allowed not in (None, owner):
                self.violations.append(f"a test of {self.allowed} touches {table} of {owner}: {sql}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at every statement of every thread inside the block."""
        cursors: Any = CursorWrapper
        original: Callable[..., Any] = cursors._execute_with_wrappers

        def watched(cursor: Any, sql: Any, params: Any, many: bool, executor: Any) -> Any:
            self.look(str(sql), cursor.db.alias, cursor.db.vendor)
            return original(cursor, sql, params, many, executor)

        cursors._execute_with_wrappers = watched
        try:
            yield
        finally:
            cursors._execute_with_wrappers = original
