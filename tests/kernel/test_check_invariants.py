"""The command: what it prints, for people and for programs, and how it exits."""

import json
from io import StringIO
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from contexts.catalog.tests.factories import variant_on
from contexts.ordering.services.providers.fake_books import books
from shop.invariants import Check
from shop.invariants.runner import Runner
from shop.invariants.words import Invariant
from shop.management.commands import check_invariants
from shop.sharding import aliases_of
from shop.sharding.public_ids import public_id
from tests.auditing import plant

ALIASES = [alias for alias in settings.DATABASES if alias != "default"]
AT_ONCE = ("--settle", "0", "--wait", "0")


def run(*arguments):
    """Exit code, what it said on stdout, and on stderr."""
    said = StringIO()
    try:
        call_command("check_invariants", *AT_ONCE, *arguments, stdout=said)
    except CommandError as error:
        return error.returncode, said.getvalue(), str(error)
    return 0, said.getvalue(), ""


@pytest.fixture(autouse=True)
def only_charges_of_this_test(request: pytest.FixtureRequest, _django_db_marker: None) -> None:
    """The provider keeps what other tests were charged, whose payments are rolled back."""
    if request.node.get_closest_marker("django_db") is None:
        return
    with books() as cursor:
        cursor.execute("DELETE FROM fake_refund")
        cursor.execute("DELETE FROM fake_intent")


@pytest.fixture
def shelves(deliver_events):
    """Two variants on each shard; the first of each will be tampered with."""
    found = variant_on(0), variant_on(1)
    variant_on(0), variant_on(1)
    deliver_events()
    return found


def tamper(shelves):
    for variant in shelves:
        plant("catalog", variant, "UPDATE shop_catalog_stocklevel SET on_hand = on_hand + 1 WHERE id = %s", variant)


@pytest.mark.django_db(databases=ALIASES)
def test_a_clean_shop_is_told_with_what_was_looked_at(shelves):
    code, said, _ = run()
    assert code == 0
    lines = said.splitlines()
    assert next(line for line in lines if line.startswith(" 3 ")).split()[-2:] == ["4", "-"]
    assert lines[-1].startswith("clean, ")


@pytest.mark.django_db(databases=ALIASES)
def test_every_id_at_fault_is_told_to_people_and_to_programs(shelves):
    tamper(shelves)
    code, said, error = run()
    assert (code, error) == (1, "broken: 1, 4")
    for variant in shelves:
        assert f" 1  {public_id('var', variant)}: 11 on hand, the movements come to 10\n" in said
    assert "\nnot clean, " in said
    code, said, _ = run("--json")
    report = json.loads(said)
    assert (code, report["clean"], report["complete"], report["elsewhere"]) == (1, False, True, [])
    assert [each["number"] for each in report["invariants"]] == [*range(1, 13), None]
    first = report["invariants"][0]
    assert (first["name"], first["checked"], first["unasked"]) == ("1", 4, [])
    assert sorted(first["findings"], key=str) == sorted(
        ({"ids": [public_id("var", each)], "detail": "11 on hand, the movements come to 10"} for each in shelves),
        key=str,
    )


@pytest.mark.django_db(databases=ALIASES)
def test_some_are_enough(shelves):
    tamper(shelves)
    assert run("--only", "2,3")[0] == 0
    code, said, _ = run("--only", " 4 , 2", "--json")
    assert (code, [each["name"] for each in json.loads(said)["invariants"]]) == (1, ["2", "4"])


@pytest.mark.django_db(databases=ALIASES)
def test_what_was_found_counts_more_than_what_could_not_be_asked(shelves, monkeypatch):
    tamper(shelves)
    away = aliases_of("ordering")[-1]
    monkeypatch.setattr(check_invariants, "_away", lambda: {away: "does not answer"})
    code, said, error = run()
    assert (code, error) == (1, "broken: 1, 4")
    assert f" 6  not looked at: {away}: does not answer\n" in said
    assert run("--only", "6")[0] == 2
    assert run("--only", "2")[0] == 0


@pytest.mark.django_db(databases=ALIASES)
def test_a_database_that_breaks_off_is_told(shelves, monkeypatch):
    def broken_off(*_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("shop.invariants.windows.shard_map", broken_off)
    code, said, error = run("--only", "3", "--json")
    assert (code, error) == (2, "could not look at all of: 3")
    reason = "OperationalError: server closed the connection"
    assert json.loads(said)["invariants"][0]["unasked"] == [
        {"place": alias, "reason": reason} for alias in aliases_of("catalog")
    ]


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_a_connection_that_broke_is_not_met_again():
    # given two looks at one database, whose server hangs up at the first
    connection = connections[ALIASES[0]]

    def look(part):
        with connection.cursor() as cursor:
            if part.place == "first" and connection.vendor == "postgresql":
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            elif part.place == "first":
                raise OperationalError("disk I/O error")
            cursor.execute("SELECT 1")
        return []

    check = Check(
        places=lambda: ["first", "second"], parts=lambda place: iter([SimpleNamespace(place=place, rows=1)]), look=look
    )
    wanted = Invariant(name="3", title="cups are whole", context="", checks=(check,), under_way=None)
    # when
    [verdict] = Runner(away={}, told=lambda *_: None).run([wanted], settle_seconds=0, wait_seconds=0)
    # then
    assert ([each.place for each in verdict.unasked], verdict.checked) == (["first"], 1)


@pytest.mark.once
@pytest.mark.parametrize(
    "wrong",
    [
        ("--settle", "-1"), ("--settle", "soon"), ("--settle", "nan"), ("--wait", "1e9"), ("--only", ","),
        ("--only", "13"), ("--only", "3,x"), ("--patience",),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_before_anything_is_asked(wrong):
    code, said, error = run(*wrong)
    assert (code > 0, said) == (True, "")
    assert wrong[0] in error
