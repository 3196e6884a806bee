"""How what the shop sends becomes what its peers send."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from scripts.benches.recorded import numbered
from scripts.benches.scripts import Writer

pytestmark = pytest.mark.once

ORDER, VARIANT = 1 << 60, 1 << 59


def test_values_with_names_are_numbered_once_each():
    text, values = numbered("SELECT %(ids)s, %(now)s, %(ids)s")
    assert text == "SELECT $1, $2, $1"
    assert values == ["ids", "now"]


def test_values_of_inserts_are_known_by_their_columns():
    text, values = numbered(
        'WITH part_0 AS (UPDATE "pot" SET "state" = %s WHERE "id" = %s), '
        'part_1 AS (INSERT INTO "tea" ("id", "name") SELECT * FROM unnest(%s::bigint[], %s::text[])) '
        'INSERT INTO "cup" ("id") VALUES (%s)'
    )
    assert values == ["=state", "=id", "tea.id[]", "tea.name[]", "cup.id"]
    assert "unnest($3::bigint[], $4::text[])" in text
    assert text.endswith("VALUES ($5)")


def test_values_of_changes_are_known_by_their_columns():
    text, values = numbered('UPDATE "tea" SET "name" = %s WHERE ("tea"."id" = %s AND "tea"."kind" = (%s))')
    assert values == ["=name", "=id", "=kind"]
    assert text.endswith('"kind" = ($3))')


def test_a_form_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="value 1 is not known"):
        numbered("SELECT %s + %s")


def test_new_ids_become_variables_and_known_ones_what_is_looked_for():
    writer = Writer({VARIANT: "wanted_0"}, key="k")
    first = writer.script(
        "x %(ids)s %(order)s %(pieces)s", {"ids": [VARIANT], "order": ORDER, "pieces": [1, 2]}, ["ids", "order"]
    )
    again = writer.script('INSERT INTO "t" ("a", "b") VALUES (%s, %s)', [ORDER, "k"], ["t.a", "t.b"])
    assert first == "x ARRAY[:wanted_0]::bigint[] :new_0 ARRAY[1, 2]::bigint[];"
    assert again == 'INSERT INTO "t" ("a", "b") VALUES (:new_0, \'bench-\' || :new_0);'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "NULL"),
        ("it's", "'it''s'"),
        ("customer:7", r"U&'customer\003a7'"),
        (b"\x01\xff", r"'\x01ff'::bytea"),
        (datetime(2026, 1, 2, tzinfo=UTC), "now()"),
        (Jsonb({"a": 1}), """U&'{"a"\\003a 1}'"""),
        ([Jsonb({})], "ARRAY['{}']"),
    ],
)
def test_no_literal_holds_what_pgbench_takes_for_a_variable(value, written):
    assert Writer({}, key="k").script('SET "a" = %s', [value], ["=a"]) == f'SET "a" = {written};'


def test_an_event_is_due_when_nobody_is_there_to_deliver_it():
    written = Writer({}, key="k").script("(%s)", [datetime.now(UTC)], ["shop_outboxevent.available_at"])
    assert written == "(now() + interval '1 day');"


def test_a_kind_of_value_that_is_not_known_is_refused():
    with pytest.raises(TypeError, match="complex"):
        Writer({}, key="k").script("(%s)", [1j], ["t.a"])


def test_what_lies_ahead_stays_ahead():
    """An order whose time to be paid were over would be expired at once, by the server that is measured."""
    written = Writer({}, key="k").script("(%s)", [datetime.now(UTC) + timedelta(minutes=30)], ["order.expires_at"])
    assert written in {f"(now() + interval '{seconds} seconds');" for seconds in (1800, 1799)}
