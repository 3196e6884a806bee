"""Inserting rows by one prepared statement: those of several tables at once, or one unless it is there already."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connections
from django.db.models import Field, Model

from shop.sharding.scope import required_scope, single_statement
from shop.sharding.shard_map import alias_of
from shop.sharding.sharded import ShardedModel, check_belongs
from shop.sharding.statements import prepared_cursor


def insert_together(*rows: Model) -> None:
    """Insert new rows, of whatever tables, into the open transaction: one prepared statement on PostgreSQL.

    Rows of one table stand side by side. Every field has its value: nothing is left to the database's defaults.

    Raises:
        ShardScopeMissing: No transaction is open, or a row belongs elsewhere.
        IntegrityError: A row breaks a constraint; then none is there.
    """
    alias = required_scope("inserting rows").alias
    for row in rows:
        if isinstance(row, ShardedModel):
            check_belongs(row, alias)
    tables: dict[type[Model], list[Model]] = {}
    for row in rows:
        tables.setdefault(type(row), []).append(row)
    connection = connections[alias]
    if connection.vendor != "postgresql":
        for model, group in tables.items():
            model._base_manager.using(alias).bulk_create(group)
    else:
        values = [column for model, group in tables.items() for column in _columns(model, group, connection)]
        with prepared_cursor(connection) as cursor:
            cursor.execute(_text(tuple(tables), alias), values)
    for row in rows:
        row._state.adding, row._state.db = False, alias


def insert_if_new(context: str, row: Model) -> bool:
    """Insert a row on the shard of its ID unless one with its unique values is there; whether it was new.

    One statement, in the open transaction or as one of its own.

    Raises:
        MixedShards: One of its shard keys lies in another bucket, or a transaction on another shard is open.
    """
    model, alias = type(row), alias_of(context, row.pk)
    if isinstance(row, ShardedModel):
        check_belongs(row, alias)
    connection = connections[alias]
    with single_statement(context, row.pk), prepared_cursor(connection) as cursor:
        cursor.execute(_unless_there(model, alias), [column[0] for column in _columns(model, [row], connection)])
        return bool(cursor.fetchall())


@cache
def _unless_there(model: type[Model], alias: str) -> str:
    connection = connections[alias]
    name, pk = connection.ops.quote_name, str(model._meta.pk.column)
    columns = ", ".join(name(str(field.column)) for field in _fields(model))
    places = ", ".join("%s" for _ in _fields(model))
    table = name(model._meta.db_table)
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING {name(pk)}"  # noqa: S608  names


@cache
def _text(models: Sequence[type[Model]], alias: str) -> str:
    """One ``INSERT … SELECT FROM unnest`` per table, all of them in one statement."""
    *first, last = (_insert(model, connections[alias]) for model in models)
    parts = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(first))
    return f"WITH {parts} {last}" if parts else last


def _insert(model: type[Model], connection: Any) -> str:
    columns = ", ".join(connection.ops.quote_name(field.column) for field in _fields(model))
    arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in _fields(model))
    return f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({columns}) SELECT * FROM unnest({arrays})"  # noqa: S608  names of tables and columns


def _columns(model: type[Model], rows: Sequence[Model], connection: Any) -> list[list[Any]]:
    return [
        [field.get_db_prep_save(field.pre_save(row, add=True), connection) for row in rows] for field in _fields(model)
    ]


@cache
def _fields(model: type[Model]) -> "tuple[Field[Any, Any], ...]":
    return tuple(model._meta.concrete_fields)
