"""Databases of a bench: whose CPU time can be told, whose password is told to nobody, and that none is left behind."""

import psycopg
import pytest

from scripts.benches import databases
from scripts.benches.databases import Databases, databases_on
from scripts.benches.pgbench import without_password
from scripts.benches.problems import BenchError

pytestmark = pytest.mark.once

SERVER = "postgres://postgres@db.test:5432/postgres"


class Admin:
    """Stands for a connection to a server where one more database can be made, then no other."""

    def __init__(self):
        self.said, self.room = [], 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def execute(self, text):
        self.said.append(text.decode() if isinstance(text, bytes) else text)
        if self.said[-1].startswith("CREATE"):
            self.room -= 1
            if self.room < 0:
                raise psycopg.errors.DiskFull("no space left on device")
        return self

    def fetchone(self):
        return (100, 0)


def test_what_was_made_before_the_server_refused_is_dropped(monkeypatch):
    admin = Admin()
    monkeypatch.setattr(databases.psycopg, "connect", lambda *_, **__: admin)
    with pytest.raises(BenchError, match="no space left"), databases_on(SERVER, connections=10):
        pytest.fail("there are no databases")
    [made, _] = [text.split('"')[1] for text in admin.said if text.startswith("CREATE")]
    assert f'DROP DATABASE IF EXISTS "{made}" WITH (FORCE)' in admin.said


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("postgres: postgres shop_bench_abc_ordering_0 127.0.0.1(40000) idle", True),
        ("postgres: main: postgres shop_bench_abc_auth_0 10.0.0.7(40000) SELECT", True),
        ("postgres: postgres another 127.0.0.1(40000) idle", False),  # of another server, by chance of that number
        ("vim", False),
        ("", False),
    ],
)
def test_cpu_time_of_the_databases_is_told_where_their_processes_are_here(command, known, monkeypatch):
    ours = Databases(SERVER, "abc")
    monkeypatch.setattr(ours, "_backends", lambda: [41, 42])
    monkeypatch.setattr(databases, "command_of", lambda pid: command if pid == 42 else "")
    monkeypatch.setattr(databases, "main_thread_seconds", lambda pids: 7.0)
    assert ours.cpu_seconds() == (7.0 if known else None)


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        (
            "postgres://ada:p%40ss%3A@[::1]:5432/a?sslmode=require",
            "postgres://ada@[::1]:5432/a?sslmode=require",
            "p@ss:",
        ),
        ("postgres://ada@h/a", "postgres://ada@h/a", None),
        ("postgres://h/a", "postgres://h/a", None),
    ],
)
def test_a_password_stands_in_no_command_line(url, shown, password):
    assert without_password(url) == (shown, {} if password is None else {"PGPASSWORD": password})
