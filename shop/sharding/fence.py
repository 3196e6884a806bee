"""The fence: triggers by which a database refuses rows of buckets that it does not own, whoever writes them, and how.

`shop.sharding.guard` asks at the beginning of a transaction; the triggers stand behind it and are all there is against
raw SQL, old code, and a process whose map is old. On PostgreSQL both take a lock on the bucket, shared among writers,
until their transaction ends: who wants the bucket to change hands waits for all of them. SQLite has one writer anyway.
How the triggers come into a database is in `shop.sharding.fencing`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.apps import apps
from django.db import connections
from django.db.models import Model

from shop.sharding.databases import context_of_alias, home_of, owner_of
from shop.sharding.ids import BUCKET_SHIFT, HOME_SLICE
from shop.sharding.models import PlacedModel, ShardSlice, WorkerLease
from shop.sharding.refusals import REFUSED_STATE, REFUSED_WORDS
from shop.sharding.sharded import HomeModel, ShardedModel

LOCK_CLASS: Final = 7001
"""First half of the advisory locks' keys; the bucket is the other."""
ISOLATION_STATE: Final = "SH002"
_WORDS: Final = REFUSED_WORDS.replace("'", "''")
SLICES: Final = ShardSlice._meta.db_table
NAMED: Final = "shop_fence_"
"""What all names of triggers begin with."""
VERSION: Final = 1
"""Of the fence, in the names of its triggers. It grows with each change of their texts, or of which tables have some: a
release leaves alone what one with a higher number has put up."""

OPERATIONS: Final = {
    operation: [f"({row}.id >> {BUCKET_SHIFT})" for row in rows]
    for operation, rows in {"INSERT": ["NEW"], "UPDATE": ["OLD", "NEW"], "DELETE": ["OLD"]}.items()
}
"""What is done to a row, and the buckets which that row lies in before and after."""
DECLARED: Final = "DECLARE wanted int; mine boolean; since bigint; ignored text;"
ISOLATED: Final = f"""
    IF current_setting('transaction_isolation') <> 'read committed' THEN
      RAISE EXCEPTION 'shop: only READ COMMITTED transactions may write' USING ERRCODE = '{ISOLATION_STATE}';
    END IF;"""
REFUSE: Final = f"""
      RAISE EXCEPTION '{_WORDS}'
        USING ERRCODE = '{REFUSED_STATE}', DETAIL = format('bucket %s, epoch %s', wanted, coalesce(since, 0));"""
REMEMBERED: Final = "coalesce(right(current_setting('shop.guarded', true), 200), '')"
"""What this transaction was let through for, so that it asks once: buckets between commas."""
GUARD: Final = f"""
CREATE OR REPLACE FUNCTION shop_guard(VARIADIC buckets int[]) RETURNS void LANGUAGE plpgsql AS $$
{DECLARED}
BEGIN{ISOLATED}
    FOREACH wanted IN ARRAY buckets LOOP
      ignored := pg_advisory_xact_lock_shared({LOCK_CLASS}, wanted);
    END LOOP;
    SELECT w, epoch INTO wanted, since
      FROM unnest(buckets) w LEFT JOIN {SLICES} ON lo <= w AND w <= hi WHERE owned IS NOT TRUE LIMIT 1;
    IF FOUND THEN{REFUSE}
    END IF;
    ignored := set_config('shop.guarded', {REMEMBERED} || ',' || array_to_string(buckets, ',') || ',', true);
END $$;"""  # noqa: S608  our own names and numbers
ASK: Final = f"""{ISOLATED}
    ignored := pg_advisory_xact_lock_shared({LOCK_CLASS}, wanted);
    SELECT owned, epoch INTO mine, since FROM {SLICES} WHERE lo <= wanted AND wanted <= hi;
    IF mine IS NOT TRUE THEN{REFUSE}
    END IF;
    ignored := set_config('shop.guarded', {REMEMBERED} || ',' || wanted || ',', true);"""  # noqa: S608  as above
"""The same for one bucket. An assignment to ``ignored`` is worked out at once; `PERFORM` would begin a query."""


def _fence(name: str, buckets: Iterable[str], returned: str) -> str:
    looks = "".join(
        f"""
  wanted := {bucket};
  IF (strpos(current_setting('shop.guarded', true), ',' || wanted || ',') > 0) IS NOT TRUE THEN{ASK}
  END IF;"""
        for bucket in buckets
    )
    return f"""
CREATE OR REPLACE FUNCTION shop_fence_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
{DECLARED}
BEGIN{looks}
  RETURN {returned};
END $$;"""


FUNCTIONS: Final = "".join(
    [
        GUARD,
        _fence("insert", OPERATIONS["INSERT"], "NEW"),
        _fence("update", OPERATIONS["UPDATE"], "NEW"),
        _fence("delete", OPERATIONS["DELETE"], "OLD"),
        _fence("whole", ["TG_ARGV[0]"], "CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END"),
    ]
)
"""A trigger's own `WHEN` would compare as well, but PostgreSQL reads and plans it anew in every statement: that costs
as much as asking. A function is planned once in a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One operation on one table; the name tells the version of the text."""

    name: str
    table: str
    operation: str
    text: str


def fence_of(alias: str) -> list[Trigger]:
    """Every trigger that ``alias`` should have."""
    vendor = connections[alias].vendor
    return [
        _trigger(vendor, table, operation, bucket)
        for table, bucket in _fenced_tables(alias)
        for operation in OPERATIONS
    ]


def fenced_models(alias: str) -> Iterator[tuple[type[Model], int | None]]:
    """Tables that have the fence on ``alias``, and the slice that a table belongs to as a whole, if it does."""
    context = context_of_alias(alias)
    for model in apps.get_models():
        if issubclass(model, PlacedModel) or (
            issubclass(model, ShardedModel) and owner_of(model._meta.app_label) == context
        ):
            yield model, None
        elif alias == home_of(context) and (
            model is WorkerLease or (issubclass(model, HomeModel) and owner_of(model._meta.app_label) == context)
        ):
            yield model, HOME_SLICE


def _fenced_tables(alias: str) -> Iterator[tuple[str, int | None]]:
    for model, whole in fenced_models(alias):
        yield model._meta.db_table, whole


def _trigger(vendor: str, table: str, operation: str, whole: int | None) -> Trigger:
    text = (_on_postgresql if vendor == "postgresql" else _on_sqlite)(table, operation, whole)
    digest = hashlib.sha256((FUNCTIONS + text).encode()).hexdigest()[:12]
    name = f"{NAMED}{operation.lower()}_{VERSION}_{digest}"
    return Trigger(name=name, table=table, operation=operation, text=text.replace("<name>", name))


def _on_postgresql(table: str, operation: str, whole: int | None) -> str:
    function = f"shop_fence_{operation.lower()}()" if whole is None else f"shop_fence_whole('{whole}')"
    return f'CREATE TRIGGER "<name>" BEFORE {operation} ON "{table}" FOR EACH ROW EXECUTE FUNCTION {function}'


def _on_sqlite(table: str, operation: str, whole: int | None) -> str:
    buckets = OPERATIONS[operation] if whole is None else [str(whole)]
    unowned = " OR ".join(
        f'NOT EXISTS (SELECT 1 FROM "{SLICES}" WHERE owned AND {bucket} BETWEEN lo AND hi)'  # noqa: S608  our own names
        for bucket in buckets
    )
    return (
        f'CREATE TRIGGER "<name>" BEFORE {operation} ON "{table}" FOR EACH ROW'
        f" WHEN {unowned} BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END"
    )
