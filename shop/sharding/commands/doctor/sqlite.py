"""An SQLite file: settings without which a crash loses something, and a place where it can't be kept."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import connections

from shop.sharding.commands.doctor.words import Finding
from shop.sharding.commands.places import WAL
from shop.sharding.commands.shown import sized
from shop.sharding.databases import file_of

FULL: Final = 2
"""SQLite's number for ``synchronous=FULL``; the one above is stricter."""
MOST_WAL_BYTES: Final = 256 * 1024 * 1024
LEAST_FREE_BYTES: Final = 64 * 1024 * 1024
MOUNTS: Final = Path("/proc/self/mounts")
OVER_A_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph"})


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What is known of a database's file."""

    journal_mode: str
    synchronous: int
    file_system: str
    wal_bytes: int
    free_bytes: int


def read(alias: str, file: Path) -> File:
    """Database: ``alias``."""
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        (mode,) = cursor.fetchone()
        cursor.execute("PRAGMA synchronous")
        (synchronous,) = cursor.fetchone()
    wal = file.with_name(file.name + WAL)
    return File(
        journal_mode=mode,
        synchronous=synchronous,
        file_system=file_system_of(file, MOUNTS.read_text() if MOUNTS.exists() else ""),
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        free_bytes=shutil.disk_usage(file.parent).free,
    )


def file_system_of(file: Path, mounts: str) -> str:
    """Its type, by the system's list of what is mounted; empty where there is no list."""
    found, depth = "", -1
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        mounted = Path(place.replace("\\040", " "))
        if len(mounted.parts) > depth and file.resolve().is_relative_to(mounted):
            found, depth = kind, len(mounted.parts)
    return found


def check(alias: str) -> Iterator[Finding]:
    """Database: ``alias``."""
    file = file_of(alias)
    if file is not None:
        yield from faults_of(alias, read(alias, file))


def faults_of(alias: str, file: File) -> Iterator[Finding]:
    """What is wrong with it."""
    if file.journal_mode != "wal":
        what = f"its journal is {file.journal_mode}, not WAL: readers and the writer wait for each other"
        do = "stop the shop, `PRAGMA journal_mode=WAL`; if it stays as it is, the file system can't"
        yield Finding(check="settings", place=alias, what=what, do=do)
    if file.synchronous < FULL:
        what = f"synchronous is {file.synchronous}, not FULL: what was answered is lost when the machine stops"
        yield Finding(check="settings", place=alias, what=what, do="open it with the shop's own settings only")
    if file.file_system in OVER_A_NETWORK:
        what = f"its file lies on {file.file_system}, where locks and WAL can't be relied on"
        yield Finding(check="file_system", place=alias, what=what, do="move it to a disk of this machine")
    if file.wal_bytes > MOST_WAL_BYTES:
        what = f"its log has grown to {sized(file.wal_bytes)}: a reader keeps it from being written back"
        yield Finding(check="transactions", place=alias, what=what, do="find the process that reads on and on")
    if file.free_bytes < LEAST_FREE_BYTES:
        what = f"{sized(file.free_bytes)} are free on its disk"
        yield Finding(check="disk", place=alias, what=what, do="make room: without any, every write is refused")
