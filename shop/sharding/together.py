"""Writing rows by one prepared statement: those of several tables at once, or one unless it is there already."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from operator import attrgetter
from typing import Any

from django.db import connections
from django.db.models import Field, JSONField, Model
from psycopg.types.json import Jsonb

from shop.sharding.scope import Change, required_scope, rerouted, single_statement
from shop.sharding.shard_map import alias_of
from shop.sharding.sharded import ShardedModel, check_belongs
from shop.sharding.statements import prepared_cursor


def insert_together(*rows: Model) -> None:
    """Insert new rows, of whatever tables, into the open transaction: one prepared statement on PostgreSQL.

    Rows of one table stand side by side. Every field has its value: nothing is left to the database's defaults. What
    waits (`change_with_next`) goes along.

    Raises:
        ShardScopeMissing: No transaction is open, or a row belongs elsewhere.
        IntegrityError: A row breaks a constraint; then none is there.
    """
    scope = required_scope("inserting rows")
    for row in rows:
        if isinstance(row, ShardedModel):
            check_belongs(row, scope.alias)
    tables: dict[type[Model], list[Model]] = {}
    for row in rows:
        tables.setdefault(type(row), []).append(row)
    connection = connections[scope.alias]
    if connection.vendor != "postgresql":
        for model, group in tables.items():
            model._base_manager.using(scope.alias).bulk_create(group)
    else:
        shapes = tuple((model, len(group) > 1) for model, group in tables.items())
        values = [value for change in scope.waiting for value in change.values]
        values += [value for model, group in tables.items() for value in _values(model, group)]
        text = _text(shapes, tuple(change.text for change in scope.waiting), scope.alias)
        scope.waiting.clear()
        with prepared_cursor(connection) as cursor:
            cursor.execute(text, values)
    for row in rows:
        row._state.adding, row._state.db = False, scope.alias


def change_with_next(model: type[Model], where: Mapping[str, Any], **fields: Any) -> None:
    """Change a row in the open transaction, together with the rows inserted next, or before it ends: nobody waits.

    Args:
        model: Its table.
        where: Values of the fields by which it is found; there may be none.
        fields: The new values. On PostgreSQL they are sent as they are, JSON aside.

    Raises:
        ShardScopeMissing: No transaction is open.
    """
    scope = required_scope(f"changing {model.__name__}")
    if connections[scope.alias].vendor != "postgresql":
        model._base_manager.using(scope.alias).filter(**where).update(**fields)
        return
    values = [_stored(model, name, value) for given in (fields, where) for name, value in given.items()]
    scope.waiting.append(Change(text=_change(model, tuple(fields), tuple(where), scope.alias), values=values))


def insert_if_new(context: str, row: Model) -> bool:
    """Insert a row on the shard of its ID unless one with its unique values is there; whether it was new.

    One statement, in the open transaction or as one of its own.

    Raises:
        MixedShards: One of its shard keys lies in another bucket, or a transaction on another shard is open.
    """
    return rerouted(context, partial(_insert_if_new, context, row))


def _insert_if_new(context: str, row: Model) -> bool:
    model, alias = type(row), alias_of(context, row.pk)
    if isinstance(row, ShardedModel):
        check_belongs(row, alias)
    connection = connections[alias]
    with single_statement(context, row.pk), prepared_cursor(connection) as cursor:
        if connection.vendor == "postgresql":
            values = _values(model, [row])
        else:
            values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in _fields(model)]
        cursor.execute(_unless_there(model, alias), values)
        return bool(cursor.fetchall())


@cache
def _unless_there(model: type[Model], alias: str) -> str:
    pk = connections[alias].ops.quote_name(str(model._meta.pk.column))
    return f"{_insert(model, alias, several=False)} ON CONFLICT DO NOTHING RETURNING {pk}"


@cache
def _text(shapes: Sequence[tuple[type[Model], bool]], changes: Sequence[str], alias: str) -> str:
    """One statement of all: what is changed and inserted stands in front of the last table's rows."""
    *first, last = (_insert(model, alias, several=several) for model, several in shapes)
    parts = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate([*changes, *first]))
    return f"WITH {parts} {last}" if parts else last


def _insert(model: type[Model], alias: str, *, several: bool) -> str:
    """Rows in columns, an array for each, where there are ``several``: the text is the same for any number."""
    connection = connections[alias]
    name = connection.ops.quote_name
    into = f"INSERT INTO {name(model._meta.db_table)} ({', '.join(name(str(f.column)) for f in _fields(model))})"
    if several:
        arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in _fields(model))
        return f"{into} SELECT * FROM unnest({arrays})"  # noqa: S608  names of tables and columns
    return f"{into} VALUES ({', '.join('%s' for _ in _fields(model))})"


@cache
def _change(model: type[Model], changed: Sequence[str], known: Sequence[str], alias: str) -> str:
    name = connections[alias].ops.quote_name
    new, old = ([f"{name(_column(model, each))} = %s" for each in names] for names in (changed, known))
    return f"UPDATE {name(model._meta.db_table)} SET {', '.join(new)} WHERE {' AND '.join(old)}"  # noqa: S608  names


def _values(model: type[Model], rows: Sequence[Model]) -> list[Any]:
    """By column, as PostgreSQL is sent them: the values themselves, or a list of each where there are several rows."""
    if len(rows) == 1:
        return [read(rows[0]) for read in _readers(model)]
    return [[read(row) for row in rows] for read in _readers(model)]


@cache
def _readers(model: type[Model]) -> Sequence[Callable[[Model], Any]]:
    return [_reader(field) for field in _fields(model)]


def _reader(field: "Field[Any, Any]") -> Callable[[Model], Any]:
    """How a field's value is taken from a row: as it is, which is what every field here but JSON stores."""
    read = attrgetter(field.attname)
    return (lambda row: _json(read(row))) if isinstance(field, JSONField) else read


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _stored(model: type[Model], name: str, value: Any) -> Any:
    return _json(value) if isinstance(model._meta.get_field(name), JSONField) else value


def _column(model: type[Model], name: str) -> str:
    return str(model._meta.get_field(name).column)  # type: ignore[union-attr]  # fields of rows, no relations


@cache
def _fields(model: type[Model]) -> "Sequence[Field[Any, Any]]":
    return tuple(model._meta.concrete_fields)
