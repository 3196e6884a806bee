"""The environment, read once: typed, every fault at once, no password repeated."""

from pathlib import Path

import pytest

from shop.addresses import BUSY_TIMEOUT_SECONDS, parse_database_url
from shop.settings import Env, Fragment, SettingsError, merge

pytestmark = pytest.mark.once

HOME = Path("/srv/shop")


def env(**variables):
    return Env(variables)


def faults(read, **variables):
    """Faults that reading reports, by the variable's name."""
    found = env(**variables)
    read(found)
    return found.problems


@pytest.mark.parametrize(("given", "expected"), [("tea", "tea"), ("  tea ", "tea"), ("", "x"), ("   ", "x")])
def test_a_text(given, expected):
    assert env(NAME=given).text("NAME", "x") == expected
    assert env().text("NAME", "x") == "x"


@pytest.mark.parametrize(
    ("given", "expected"), [("a,b", ("a", "b")), (" a , ,b,", ("a", "b")), ("a", ("a",)), ("", ("x",))]
)
def test_words(given, expected):
    assert env(NAMES=given).words("NAMES", ["x"]) == expected


@pytest.mark.parametrize(("given", "expected"), [("8", 8), ("-3", -3), ("007", 7), ("", 5)])
def test_a_whole_number(given, expected):
    assert env(N=given).integer("N", 5, low=-9, high=9) == expected


@pytest.mark.parametrize("given", ["10", "-10", "1.5", "1e1", "x", "--1", "-", "+1", "٣", "0x1", "1_0", "9" * 5000])
def test_what_is_no_whole_number_in_range(given):
    assert faults(lambda e: e.integer("N", 5, low=-9, high=9), N=given) == [
        f"N: must be a whole number from -9 to 9, not {given!r}"
    ]


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_a_flag_that_is_on(word):
    assert env(F=word).flag("F") is True


@pytest.mark.parametrize("word", ["0", "false", "No", "OFF", ""])
def test_a_flag_that_is_off(word):
    assert env(F=word).flag("F") is False


def test_what_is_no_flag():
    assert faults(lambda e: e.flag("F"), F="perhaps") == ["F: must be 1 or 0, not 'perhaps'"]


def test_a_choice():
    assert env(C="tea").choice("C", "water", ["tea", "water"]) == "tea"
    assert env().choice("C", "water", ["tea", "water"]) == "water"
    assert faults(lambda e: e.choice("C", "water", ["tea", "water"]), C="rum") == [
        "C: must be one of tea, water, not 'rum'"
    ]


def test_a_value_with_a_reader_of_its_own():
    assert env(N="0x10").checked("N", lambda text: int(text, 16), 0) == 16
    assert env().checked("N", int, 3) == 3
    assert faults(lambda e: e.checked("N", int, 3), N="x") == ["N: invalid literal for int() with base 10: 'x'"]


def test_every_fault_is_reported_at_once():
    found = env(A="x", B="perhaps", C="rum", TEA_DATABASES="mysql://h/d,sqlite:///a,oracle://h/d")
    found.integer("A", 1, low=0, high=9)
    found.flag("B")
    found.choice("C", "tea", ["tea"])
    found.databases("tea", HOME)
    with pytest.raises(SettingsError) as caught:
        found.close()
    assert [fault.split(":")[0] for fault in caught.value.problems] == [
        "A",
        "B",
        "C",
        "TEA_DATABASES",
        "TEA_DATABASES",
    ]
    assert [fault.split(": ")[1] for fault in caught.value.problems[3:]] == ["entry 1", "entry 3"]


def test_nothing_wrong_is_nothing_reported():
    env(A="1").close()


# ---- databases -----------------------------------------------------------------------------------------------


def test_unset_databases_are_two_files_in_the_home():
    found = env().databases("tea", HOME)
    assert {alias: d["NAME"] for alias, d in found.items()} == {
        "tea_0": "/srv/shop/tea_0.sqlite3",
        "tea_1": "/srv/shop/tea_1.sqlite3",
    }


def test_aliases_follow_the_position():
    found = env(TEA_DATABASES="sqlite:////a,postgres://h/b,sqlite:///c").databases("tea", HOME)
    assert {alias: d["NAME"] for alias, d in found.items()} == {
        "tea_0": "/a",
        "tea_1": "b",
        "tea_2": "/srv/shop/c",
    }


def test_a_postgres_url():
    found = parse_database_url("postgres://us%40er:p%2Cw%3A%2F@db.example:6432/na%20me?sslmode=require", HOME)
    assert {name: found[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "na me",
        "USER": "us@er",
        "PASSWORD": "p,w:/",
        "HOST": "db.example",
        "PORT": "6432",
    }
    assert found["OPTIONS"]["sslmode"] == "require"
    assert found["TEST"] == {"DEPENDENCIES": []}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("isolation_level=serializable", "isolation_level"),
        ("pool=true&sslmode=require", "pool"),
        ("options=-c%20idle_in_transaction_session_timeout%3D0", "options=idle_in_transaction_session_timeout"),
        ("options=-c%20tcp_keepalives_idle%3D1%20-c%20jit%3Doff", "options=tcp_keepalives_idle"),
    ],
)
def test_what_the_shop_sets_itself_is_refused_in_a_url_by_name(query, named):
    env = Env({"TEA_DATABASES": f"postgres://u:s3cret@h/d,postgres://u:s3cret@h/e?{query}"})
    env.databases("tea", HOME)
    [problem] = env.problems
    assert problem.startswith(f"TEA_DATABASES: entry 2: {named}: not for a URL to set")
    assert "s3cret" not in problem


def test_other_settings_of_a_session_are_a_url_s_to_set():
    found = parse_database_url("postgres://u@h/d?options=-c%20jit%3Doff", HOME)
    assert found["OPTIONS"]["options"] == "-c jit=off"


def test_sqlite_waits_for_its_lock_and_syncs_fully():
    options = parse_database_url("sqlite:///a%2Cb.sqlite3", HOME)["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] == BUSY_TIMEOUT_SECONDS
    assert {"journal_mode=WAL", "synchronous=FULL"} <= {
        part.strip(" ;").removeprefix("PRAGMA ") for part in options["init_command"].split(";")
    }


MALFORMED = [
    "",
    "tea.sqlite3",
    "sqlite://",
    "sqlite:///",
    "sqlite://folder/tea.sqlite3",
    "mysql://u:s3cret@h/d",
    "postgres://u:s3cret@h",
    "postgres://u:s3cret@h/",
    "postgres://u:s3cret@h:port/d",
    "postgres://u:s3cret@h:99999/d",
    "postgres://u:s3cret@[::1/d",
    "postgres://u:s3cret℀@h/d",
    "postgres://u:s3cret@h:5432:1/d",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_url_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_database_url(url, HOME)
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_same_database_twice_is_a_fault():
    for urls in ("sqlite:///a,sqlite:////srv/shop/a", "postgres://u@h/d,postgres://v:w@h/d"):
        assert faults(lambda e: e.databases("tea", HOME), TEA_DATABASES=urls) == [
            "TEA_DATABASES: the same database is named twice"
        ]


def test_no_database_at_all_is_a_fault():
    assert len(faults(lambda e: e.databases("tea", HOME), TEA_DATABASES=",")) == 1


# ---- fragments -----------------------------------------------------------------------------------------------


def test_a_key_that_is_set_twice_is_a_fault():
    assert merge([{"A": 1}, {"B": 2}]) == {"A": 1, "B": 2}
    with pytest.raises(SettingsError, match="A: set twice"):
        merge([{"A": 1}, {"A": 1}])


def test_a_fragment_takes_nothing_else():
    with pytest.raises(TypeError):
        Fragment(databases={})
