"""What the first migrate writes into each database, and what it refuses later."""

import os
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connections

from config.testing import DEFAULT_POSTGRES
from shop.sharding.first_migrate import even_split
from shop.sharding.ids import BUCKETS
from tests.kernel.processes import clean_environment, manage, result, start

type MakeUrls = Callable[[int], list[str]]

CONTENTS = """
from django.apps import apps
from django.conf import settings
from django.db import connections
def rows(alias):
    found = {}
    with connections[alias].cursor() as cursor:
        for table in sorted(connections[alias].introspection.table_names(cursor)):
            cursor.execute(f'SELECT * FROM "{table}"')
            found[table] = sorted(str(row) for row in cursor.fetchall())
    return found
print(json.dumps({alias: rows(alias) for alias in settings.DATABASES if alias != "default"}))
"""
PLACED = """
from shop.sharding import aliases_of, hosted_contexts
from shop.sharding.models import DatabaseIdentity, Shard, ShardEpoch, ShardMapEntry, ShardSlice
context = hosted_contexts()[0]
home = f"{context}_0"
aliases = aliases_of(context)
print(json.dumps({
    "map": list(ShardMapEntry.objects.using(home).order_by("lo").values_list("lo", "hi", "alias", "epoch")),
    "shards": sorted(Shard.objects.using(home).values_list("alias", flat=True)),
    "epochs": list(ShardEpoch.objects.using(home).values_list("epoch", flat=True)),
    "owned": {a: list(ShardSlice.objects.using(a).filter(owned=True).values_list("lo", "hi")) for a in aliases},
    "known": {a: ShardSlice.objects.using(a).count() for a in aliases},
    "identity": {a: list(DatabaseIdentity.objects.using(a).values_list("context", "alias")) for a in aliases},
    "uuids": len({str(row.uuid) for a in aliases for row in DatabaseIdentity.objects.using(a)}),
}))
"""
HOME_ONLY = {"shop_shard", "shop_shardmapentry", "shop_shardepoch", "shop_shardprocess", "shop_workerlease"}
STAFF = {"shop_staff_staffuser", "auth_group", "django_session", "django_admin_log", "django_content_type"}


@pytest.fixture
def make_urls(tmp_path) -> Iterator[MakeUrls]:
    """URLs of so many empty databases of this run's engine."""
    made: list[str] = []
    template = connections["catalog_0"]
    server = os.environ.get("TEST_POSTGRES_URL", DEFAULT_POSTGRES)

    def sql(statement: str) -> None:
        with psycopg.connect(server, autocommit=True) as session:
            session.execute(statement.encode())

    def make(count: int) -> list[str]:
        if template.vendor == "sqlite":
            made.extend(f"sqlite:///{tmp_path}/{len(made)}_{n}.sqlite3" for n in range(count))
            return made[-count:]
        names = [f"test_own_{os.getpid()}_{len(made)}_{n}" for n in range(count)]
        for name in names:
            sql(f"CREATE DATABASE {name}")
            made.append(name)
        return [urlsplit(server)._replace(path=f"/{name}").geturl() for name in names]

    yield make
    for name in made if template.vendor == "postgresql" else []:
        sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def catalog(tmp_path):
    """The environment of catalog alone on these databases."""

    def environment(*urls: str) -> dict[str, str]:
        return clean_environment(tmp_path, CONTEXTS="catalog", CATALOG_DATABASES=",".join(urls))

    return environment


def migrate(environment):
    done = manage("migrate", environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.once
@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 4096])
def test_an_even_split_leaves_no_gap(count):
    parts = even_split([f"s{n}" for n in range(count)])
    assert [bucket for lo, hi, _ in parts for bucket in range(lo, hi + 1)] == list(range(BUCKETS))
    sizes = [hi - lo + 1 for lo, hi, _ in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_first_migrate_splits_the_buckets_evenly(count, make_urls, catalog):
    environment = catalog(*make_urls(count))
    assert len(migrate(environment).splitlines()) == count
    placed = result(start(PLACED, environment))
    aliases = [f"catalog_{n}" for n in range(count)]
    split = even_split(aliases)
    assert placed["map"] == [[lo, hi, alias, 1] for lo, hi, alias in split]
    assert placed["shards"] == aliases
    assert placed["epochs"] == [1]
    whole_home = {"catalog_0": [[4096, 4096]]}  # what is not sharded counts as one slice more
    assert placed["owned"] == {alias: [[lo, hi], *whole_home.get(alias, [])] for lo, hi, alias in split}
    assert placed["known"] == {alias: count + len(whole_home.get(alias, [])) for alias in aliases}
    assert placed["identity"] == {alias: [["catalog", alias]] for alias in aliases}
    assert placed["uuids"] == count


def test_a_second_migrate_changes_nothing(make_urls, catalog):
    environment = catalog(*make_urls(2))
    migrate(environment)
    before = result(start(CONTENTS, environment))
    assert all("up to date" in line for line in migrate(environment).splitlines())
    assert result(start(CONTENTS, environment)) == before


def test_home_only_tables_are_at_the_home_only(make_urls, catalog):
    environment = catalog(*make_urls(2))
    migrate(environment)
    found = result(start(CONTENTS, environment))
    home, shard = set(found["catalog_0"]), set(found["catalog_1"])
    assert home - shard >= HOME_ONLY | STAFF
    assert not shard & (HOME_ONLY | STAFF)
    assert {
        "shop_outboxevent",
        "shop_inboxentry",
        "shop_uniquevalue",
        "shop_shardslice",
        "shop_outcome",
    } <= shard


def test_a_url_appended_later_owns_nothing(make_urls, catalog):
    urls = make_urls(3)
    migrate(catalog(*urls[:2]))
    before = result(start(PLACED, catalog(*urls[:2])))
    migrate(catalog(*urls))
    after = result(start(PLACED, catalog(*urls)))
    assert after["map"] == before["map"]
    assert after["owned"] == {**before["owned"], "catalog_2": []}
    assert after["known"]["catalog_2"] == 2
    assert after["shards"] == ["catalog_0", "catalog_1", "catalog_2"]
    ready = result(start(READY, catalog(*urls)))
    assert ready == [200, "ok"]


READY = """
from django.test import Client
answer = Client(HTTP_HOST="localhost").get("/readyz")
databases = answer.json()["databases"]
print(json.dumps([answer.status_code, list(databases.values())[-1]]))
"""


@pytest.mark.parametrize("place", [0, 1], ids=["home", "shard"])
def test_an_empty_database_in_the_place_of_a_known_one_is_refused(make_urls, catalog, place):
    # given a migrated context, and an empty database behind one of its URLs
    *urls, empty = make_urls(3)
    migrate(catalog(*urls))
    urls[place] = empty
    # when it is migrated again, then it says which, and writes nothing there
    done = manage("migrate", environment=catalog(*urls))
    assert done.returncode == 2
    assert f"catalog_{place}" in done.stderr
    assert "empty" in done.stderr


def test_the_same_place_of_another_shop_is_refused(make_urls, catalog):
    # given two shops, and a database of one behind the URL of the other
    urls, others = make_urls(2), make_urls(2)
    migrate(catalog(*urls))
    migrate(catalog(*others))
    mixed = catalog(urls[0], others[1])
    # then neither a migration nor a server takes it
    assert manage("migrate", environment=mixed).returncode == 2
    assert result(start(READY, mixed)) == [503, "another database is behind this URL"]


def test_urls_that_changed_places_are_refused_and_nothing_is_written(make_urls, catalog):
    first, second = make_urls(2)
    migrate(catalog(first, second))
    before = result(start(CONTENTS, catalog(first, second)))
    done = manage("migrate", environment=catalog(second, first))
    assert done.returncode == 2
    assert "catalog_0" in done.stderr
    assert "catalog_1 of catalog" in done.stderr
    assert result(start(CONTENTS, catalog(first, second))) == before
    assert result(start(READY, catalog(second, first))) == [503, "another database is behind this URL"]


def test_another_contexts_database_is_refused_and_gets_no_table(make_urls, tmp_path):
    """Given auth's database behind catalog's URL."""
    url = make_urls(1)[0]
    auth = clean_environment(tmp_path, CONTEXTS="auth", AUTH_DATABASES=url)
    migrate(auth)
    before = result(start(CONTENTS, auth))
    wrong = clean_environment(tmp_path, CONTEXTS="catalog", CATALOG_DATABASES=url)
    for arguments in (("migrate",), ("migrate", "--database", "catalog_0"), ("migrate_contexts", "--check")):
        done = manage(*arguments, environment=wrong)
        assert (done.returncode, "auth_0 of auth" in done.stderr) == (2, True), (arguments, done.stderr)
    assert result(start(CONTENTS, auth)) == before


def test_check_tells_what_is_unapplied(make_urls, catalog):
    environment = catalog(*make_urls(1))
    assert manage("migrate", "--check", environment=environment).returncode == 1
    migrate(environment)
    assert manage("migrate", "--check", environment=environment).returncode == 0


def test_staff_commands_find_their_home_without_being_told(make_urls, tmp_path):
    """Given catalog alone, its staff accounts are at catalog's home."""
    environment = clean_environment(
        tmp_path,
        CONTEXTS="catalog",
        CATALOG_DATABASES=",".join(make_urls(2)),
        DJANGO_SUPERUSER_PASSWORD="first-password-12",
    )
    migrate(environment)
    made = manage("createsuperuser", "--noinput", "--email", "a@example.com", environment=environment)
    assert made.returncode == 0, made.stderr
    changed = result(
        start(
            """
import getpass, json
from django.core.management import call_command
from shop.staff.accounts import sign_in
first = sign_in(email="a@example.com", password="first-password-12")
getpass.getpass = lambda prompt="": "second-password-12"
call_command("changepassword", "a@example.com")
second = sign_in(email="A@example.com ", password="second-password-12")
print(json.dumps([first.pk == second.pk, second._state.db, second.is_superuser]))
""",
            environment,
        )
    )
    assert changed == [True, "catalog_0", True]
