"""The fence around each context's tables, seen red on planted statements of every kind."""

# ruff: noqa: S608  the statements are the plants

from types import SimpleNamespace

import pytest
from django.db import connections

from shop.services import acting_as
from tests import plugin
from tests.sql_fence import SqlFence, owner_of_table, tables_in

CATALOG, ORDERING = "shop_catalog_product", "shop_ordering_order"
VENDORS = ["sqlite", "postgresql"]

STATEMENTS = {
    "select": f"SELECT * FROM {ORDERING} WHERE id = %s",
    "quoted": f'SELECT "{ORDERING}"."id" FROM "{ORDERING}"',
    "upper case": f"SELECT * FROM {ORDERING.upper()}",
    "join": f"SELECT 1 FROM {CATALOG} p JOIN {ORDERING} o ON o.id = p.id",
    "subquery": f"SELECT 1 FROM {CATALOG} WHERE id IN (SELECT id FROM {ORDERING})",
    "exists": f"SELECT 1 FROM {CATALOG} p WHERE EXISTS (SELECT 1 FROM {ORDERING} o WHERE o.id = p.id)",
    "with": f"WITH o AS (SELECT id FROM {ORDERING}) SELECT * FROM o",
    "union": f"SELECT id FROM {CATALOG} UNION ALL SELECT id FROM {ORDERING}",
    "insert": f"INSERT INTO {ORDERING} (id) VALUES (%s) ON CONFLICT DO NOTHING",
    "after many rows": f"INSERT INTO {CATALOG} (a, b) VALUES (%s, %s), (%s, %s) RETURNING (SELECT 1 FROM {ORDERING})",
    "among many rows": f"INSERT INTO {CATALOG} (a, b) VALUES (%s, %s), (%s, (SELECT 1 FROM {ORDERING})), (%s, %s)",
    "insert from": f"INSERT INTO {CATALOG} (id) SELECT id FROM {ORDERING}",
    "update": f"UPDATE {ORDERING} SET id = %s WHERE id = %s RETURNING id",
    "delete": f"DELETE FROM {ORDERING} WHERE id IN (%s, %s)",
    "create": f"CREATE TABLE {ORDERING} (id bigint)",
    "alter": f"ALTER TABLE {ORDERING} ADD COLUMN a integer",
    "drop": f"DROP TABLE {ORDERING}",
    "index": f"CREATE INDEX x ON {ORDERING} (id)",
    "two at once": f"SELECT 1; SELECT * FROM {ORDERING}",
    "after a savepoint": f"SAVEPOINT a; SELECT * FROM {ORDERING}",
    "comment": f"SELECT 1 -- nothing\nFROM {ORDERING}",
}
POSTGRES_ONLY = {
    "for update": f"SELECT * FROM {ORDERING} FOR UPDATE SKIP LOCKED",
    "truncate": f'TRUNCATE "{ORDERING}"',
    "lock": f"LOCK TABLE {ORDERING} IN EXCLUSIVE MODE",
    "copy": f"COPY {ORDERING} (id) FROM STDIN",
    "explain": f"EXPLAIN ANALYZE SELECT * FROM {ORDERING}",
    "schema": f"SELECT * FROM public.{ORDERING}",
    "comment on": f"COMMENT ON TABLE {ORDERING} IS 'x'",
}
SQLITE_ONLY = {  # what the parser gives up on
    "virtual table": f"CREATE VIRTUAL TABLE x USING fts5(a, content='{ORDERING}', tokenize='ascii')",
    "trigger": f"CREATE TRIGGER x AFTER INSERT ON y BEGIN INSERT INTO {ORDERING} VALUES (1); DELETE FROM y; END",
}
PLANTED = [
    *((vendor, sql) for vendor in VENDORS for sql in STATEMENTS.values()),
    *(("postgresql", sql) for sql in POSTGRES_ONLY.values()),
    *(("sqlite", sql) for sql in SQLITE_ONLY.values()),
]
NAMES = [*(f"{vendor} {name}" for vendor in VENDORS for name in STATEMENTS), *POSTGRES_ONLY, *SQLITE_ONLY]


def violations(sql, alias, vendor="sqlite", allowed=None):
    fence = SqlFence(allowed)
    fence.look(sql, alias, vendor)
    return fence.violations


@pytest.mark.once
@pytest.mark.parametrize(("vendor", "sql"), PLANTED, ids=NAMES)
def test_a_statement_on_another_contexts_table_is_seen(vendor, sql):
    assert violations(sql, "catalog_0", vendor)
    assert not violations(sql.replace(ORDERING, CATALOG).replace(ORDERING.upper(), CATALOG), "catalog_0", vendor)


@pytest.mark.once
@pytest.mark.parametrize(("vendor", "sql"), PLANTED, ids=NAMES)
def test_the_acting_context_may_not_touch_anothers_table_even_at_home(vendor, sql):
    sql = sql.replace(CATALOG, ORDERING)
    with acting_as("catalog"):
        assert violations(sql, "ordering_0", vendor)
    with acting_as("ordering"):
        assert not violations(sql, "ordering_0", vendor)


@pytest.mark.once
def test_a_contexts_own_test_may_touch_its_own_tables_only():
    assert violations(f"SELECT 1 FROM {ORDERING}", "ordering_0", allowed="catalog")
    assert not violations(f"SELECT 1 FROM {CATALOG}", "catalog_1", allowed="catalog")


@pytest.mark.once
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM shop_outboxevent",
        "SELECT 'shop_ordering_order'",
        "SAVEPOINT s1",
        "RELEASE SAVEPOINT s1",
        "PRAGMA foreign_key_check",
        "SELECT 7 %% 3, %s FROM shop_catalog_product WHERE name LIKE '%%x'",
    ],
)
def test_what_is_nobodys_is_free(sql):
    for vendor in VENDORS:
        assert violations(sql, "catalog_0", vendor, allowed="catalog") == []


@pytest.mark.once
def test_a_table_says_its_owner():
    assert [owner_of_table(name) for name in (CATALOG, ORDERING, "shop_outboxevent", "shop_staff_staffuser")] == [
        "catalog",
        "ordering",
        None,
        None,
    ]
    assert tables_in(f'SELECT * FROM "{CATALOG}"', "postgres") == {CATALOG}


@pytest.mark.django_db(databases=["catalog_0"])
@pytest.mark.parametrize("many", [False, True])
def test_what_really_runs_is_looked_at(many):
    fence = SqlFence("auth")
    with fence.watching(), connections["catalog_0"].cursor() as cursor:
        cursor.execute("SELECT 1")
        assert fence.violations == []
        cursor.execute("CREATE TEMPORARY TABLE shop_catalog_plant (id bigint)")
        if many:
            cursor.executemany("INSERT INTO shop_catalog_plant VALUES (%s)", [(1,), (2,)])
    assert len(fence.violations) == (2 if many else 1)


@pytest.mark.django_db(databases=["catalog_0"])
def test_the_fixture_fails_the_test(pytester_free_fence):
    """The suite's own fixture, run by hand around a planted statement."""
    with pytest.raises(pytest.fail.Exception, match="shop_catalog_plant"):
        pytester_free_fence("CREATE TEMPORARY TABLE shop_catalog_plant (id bigint)")
    pytester_free_fence("SELECT 1")


@pytest.fixture
def pytester_free_fence(request, sql_fence):
    """Run one statement under the fence of a test of auth."""

    def run(sql):
        node = SimpleNamespace(path=plugin.ROOT / "contexts" / "auth" / "tests" / "test_x.py")
        around = plugin.sql_fence.__wrapped__(SimpleNamespace(node=node))
        next(around)
        with connections["catalog_0"].cursor() as cursor:
            cursor.execute(sql)
        for _ in around:
            pass

    return run
