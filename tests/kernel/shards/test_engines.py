"""What `doctor` wants of a PostgreSQL server and of an SQLite file: each fault by itself, and read from real ones."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connections

from shop.sharding.commands.doctor import postgresql, sqlite
from tests.kernel.probes import ALIASES

SOUND_SERVER = postgresql.Server(
    settings={"fsync": "on", "synchronous_commit": "on", "default_transaction_isolation": "read committed"},
    skew_seconds=0.2,
    connections=(40, 97),
    prepared=0,
    oldest_seconds=12.0,
    is_replica=False,
)
SOUND_FILE = sqlite.File(
    journal_mode="wal", synchronous=2, file_system="ext4", wal_bytes=4_000_000, free_bytes=10_000_000_000
)


@pytest.mark.once
@pytest.mark.parametrize(
    ("wrong", "check", "what"),
    [
        ({"settings": {"fsync": "off"}}, "settings", "fsync is off"),
        ({"settings": {"full_page_writes": "off"}}, "settings", "full_page_writes is off"),
        ({"settings": {"synchronous_commit": "local"}}, "settings", "synchronous_commit is local"),
        ({"settings": {"default_transaction_isolation": "serializable"}}, "settings", "the fence refuses"),
        ({"settings": {"default_transaction_read_only": "on"}}, "settings", "nothing can be written"),
        ({"skew_seconds": -2.5}, "clock", "its clock is 2.5 s behind this machine's"),
        ({"skew_seconds": 7.0}, "clock", "its clock is 7.0 s ahead of this machine's"),
        ({"connections": (95, 97)}, "connections", "95 of 97 connections"),
        ({"prepared": 2}, "prepared", "2 prepared transactions"),
        ({"oldest_seconds": 4_000.0}, "transactions", "has been open for 4,000 s"),
        ({"is_replica": True}, "replica", "it is a replica"),
    ],
)
def test_a_fault_of_a_server_is_told(wrong, check, what):
    assert list(postgresql.faults_of("catalog_0", SOUND_SERVER)) == []
    (found,) = postgresql.faults_of("catalog_0", replace(SOUND_SERVER, **wrong))
    assert (found.check, what in found.what, found.do != "") == (check, True, True)


@pytest.mark.once
@pytest.mark.parametrize(
    ("wrong", "check", "what"),
    [
        ({"journal_mode": "delete"}, "settings", "its journal is delete"),
        ({"synchronous": 1}, "settings", "synchronous is 1"),
        ({"file_system": "nfs4"}, "file_system", "its file lies on nfs4"),
        ({"wal_bytes": 1 << 30}, "transactions", "its log has grown to 1,024 MB"),
        ({"free_bytes": 1 << 20}, "disk", "1,024 kB are free"),
    ],
)
def test_a_fault_of_a_file_is_told(wrong, check, what):
    assert list(sqlite.faults_of("catalog_0", SOUND_FILE)) == []
    (found,) = sqlite.faults_of("catalog_0", replace(SOUND_FILE, **wrong))
    assert (found.check, what in found.what, found.do != "") == (check, True, True)


@pytest.mark.once
def test_the_file_system_is_that_of_the_nearest_mount():
    mounts = "/dev/a / ext4 rw 0 0\nserver:/x /srv/shop nfs4 rw 0 0\n/dev/b /srv/my\\040disk xfs rw 0 0\n"
    assert sqlite.file_system_of(Path("/srv/shop/var/a.sqlite3"), mounts) == "nfs4"
    assert sqlite.file_system_of(Path("/srv/shopping/a.sqlite3"), mounts) == "ext4"
    assert sqlite.file_system_of(Path("/srv/my disk/a.sqlite3"), mounts) == "xfs"
    assert sqlite.file_system_of(Path("/a.sqlite3"), "") == ""


@pytest.mark.once
@pytest.mark.parametrize(("clock", "expected"), [(100.5, 0.0), (103.0, 2.0), (98.0, -2.0)])
def test_a_clock_is_off_by_what_asking_does_not_explain(clock, expected):
    assert postgresql.beyond(clock, asked=100.0, answered=101.0) == expected


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_it_is_read_from_a_real_database():
    """Given a transaction that stands open on another connection."""
    alias = "catalog_0"
    if connections[alias].vendor == "sqlite":
        file = sqlite.read(alias, Path(connections[alias].settings_dict["NAME"]))
        assert (file.journal_mode, file.synchronous) == ("wal", 2)
        assert file.free_bytes > 0
        return
    other = connections[alias].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1")
        time.sleep(0.05)
        server = postgresql.read(alias)
    finally:
        other.close()
    assert set(server.settings) == set(postgresql.BREAKS)
    assert server.settings["default_transaction_isolation"] == "read committed"
    assert server.oldest_seconds >= 0.05
    assert 2 <= server.connections[0] <= server.connections[1]
    assert (server.prepared, server.is_replica) == (0, False)
    assert abs(server.skew_seconds) < postgresql.SKEW_SECONDS
    assert postgresql.most_connections(alias) == server.connections[1]
