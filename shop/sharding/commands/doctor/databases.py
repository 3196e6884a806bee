"""One database: whether it is the right one, as new as the code, fenced, and free of rows that are another's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shop.sharding.commands.doctor import postgresql, sqlite
from shop.sharding.commands.doctor.words import Finding
from shop.sharding.commands.places import Slices, engine_of, is_home, slices_of
from shop.sharding.commands.rows import STRAYS, strays
from shop.sharding.databases import context_of_alias
from shop.sharding.fencing import fence_faults, is_current
from shop.sharding.first_migrate import ForeignDatabase, check_identity, is_introduced, recognise
from shop.sharding.models import UniqueValue
from shop.sharding.readiness import unapplied

DANGLING_SECONDS: Final = 60
"""A reservation as old as that should have been finished by the sweeper, which comes every ten seconds."""
SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found at one database, and its slices where it could be asked for them; none if it has none yet."""

    findings: list[Finding]
    slices: Slices | None


def examine_database(alias: str) -> Examined:
    """Database: ``alias``, and its context's home, which knows who it is."""
    if not is_introduced(alias):
        return _empty(alias)
    if findings := list(_identity(alias)):
        return Examined(findings=findings, slices=None)
    of_engine = postgresql.check if engine_of(alias) == "postgresql" else sqlite.check
    if findings := list(_migrations(alias)):  # its tables may not be those that the other checks ask
        return Examined(findings=[*findings, *of_engine(alias)], slices=slices_of(alias))
    slices = slices_of(alias)
    findings = [*_fence(alias), *_strays(slices), *_dangling(slices), *of_engine(alias)]
    return Examined(findings=findings, slices=slices)


def _empty(alias: str) -> Examined:
    """Its place is that of a database which was there before; or it is new."""
    try:
        recognise(alias)
    except ForeignDatabase as error:
        what = str(error).rpartition("; ")[0]
        do = "put the URL back to its place, or restore its backup"
        return Examined(findings=[Finding(check="identity", place=alias, what=what, do=do)], slices=None)
    what = "its URL is in the list, and the database was never told what it is"
    do = f"run `manage.py shards add {context_of_alias(alias)}`; or take the URL off"
    if is_home(alias):
        do = "run `manage.py migrate_contexts`, which begins a shop"
    found = Finding(check="introduced", place=alias, what=what, do=do)
    return Examined(findings=[found], slices=Slices(alias=alias, rows=(), introduced=False))


def _identity(alias: str) -> Iterator[Finding]:
    try:
        check_identity(alias)
    except ForeignDatabase as error:
        what, _, do = str(error).rpartition("; ")
        yield Finding(check="identity", place=alias, what=what, do=do)


def _migrations(alias: str) -> Iterator[Finding]:
    if waiting := unapplied(alias):
        what = f"{waiting} migrations are unapplied"
        yield Finding(check="migrations", place=alias, what=what, do="run `manage.py migrate_contexts`")


def _fence(alias: str) -> Iterator[Finding]:
    if faults := fence_faults(alias):
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        what = f"its fence is not whole: {'; '.join(faults[:SHOWN])}{more}"
        do = "run `manage.py migrate_contexts`, then `manage.py check_invariants --only 12`: rows may have come in"
        yield Finding(check="fence", place=alias, what=what, do=do)
    elif not is_current(alias):
        what = "its fence is that of an older release"
        yield Finding(check="fence", place=alias, what=what, do="run `manage.py migrate_contexts`")


def _strays(slices: Slices) -> Iterator[Finding]:
    for table, rows in strays(slices.alias, slices.owned):
        count = f"at least {rows:,}" if rows == STRAYS else f"{rows:,}"
        what = f"{count} rows of {table} lie in buckets that it does not own"
        do = "nobody sees them; `manage.py check_invariants --only 12` names each, and whether its owner has it too"
        yield Finding(check="rows", place=slices.alias, what=what, do=do)


def _dangling(slices: Slices) -> Iterator[Finding]:
    before = datetime.now(UTC) - timedelta(seconds=DANGLING_SECONDS)
    rows = UniqueValue.objects.using(slices.alias).filter(state=UniqueValue.State.RESERVED, reserved_at__lt=before)
    if count := rows.count():
        what = f"{count:,} unique values have been reserved for more than {DANGLING_SECONDS} s and are not finished"
        do = "look whether a server runs, and for `job_failed` in its log: it finishes them every ten seconds"
        yield Finding(check="unique", place=slices.alias, what=what, do=do)
