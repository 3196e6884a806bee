"""Migrating every database of a process: homes first, then the others, several at once, each in a process of its own.

A process, and no thread: Django puts historical models together while it migrates, which is work for the processor, and
what it does around a migration (signals, caches of content types) was not written for several at once. Where no process
may be forked, one database follows another.
"""

import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final, Protocol

from django.core.management import call_command
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import DatabaseError, connections

from shop.sharding.databases import context_of_alias, home_of
from shop.sharding.first_migrate import ForeignDatabase, recognise
from shop.sharding.migration_lock import alone_at
from shop.sharding.readiness import left_to_do

JOBS: Final = max(2, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one database.

    Attributes:
        waiting: Steps that were left to do when it was looked at, nearly always migrations.
        error: Why it failed, in one line; empty if it did not.
        bug: The traceback, where the error is none of the database's.
    """

    alias: str
    waiting: int = 0
    seconds: float = 0.0
    error: str = ""
    bug: str = ""


class Work(Protocol):
    """What is done with a database; returns how many steps were left to do."""

    def __call__(self, alias: str) -> int:
        """Do it."""


def count_left(alias: str) -> int:
    """Only look.

    Raises:
        ForeignDatabase: Another one is behind the URL.
    """
    recognise(alias)
    return left_to_do(alias)


def migrate_one(alias: str) -> int:
    """Apply whatever is unapplied, introduce the database if it is new, and put the fence in its place.

    Who else would do it at the same time waits, and finds it done.

    Raises:
        ForeignDatabase: Another one is behind the URL; nothing was written.
    """
    options = {"verbosity": 0, "interactive": False, "database": alias, "skip_checks": True}
    with alone_at(alias):
        waiting = count_left(alias)
        call_command(DjangoMigrate(), **options)
    return waiting


def in_stages(aliases: Sequence[str]) -> Iterator[Sequence[str]]:
    """Homes, by which the others are told what they are; then those."""
    homes = [alias for alias in aliases if alias == home_of(context_of_alias(alias))]
    yield homes
    yield [alias for alias in aliases if alias not in homes]


def run(work: Work, aliases: Sequence[str], *, jobs: int, told: Callable[[Outcome], None]) -> list[Outcome]:
    """Do ``work`` with every database, and tell of each as it is done. After an error nothing more is begun."""
    done: list[Outcome] = []
    do = _together if may_fork() else _in_turn
    for stage in in_stages(aliases):
        for outcome in do(work, stage, jobs):
            done.append(outcome)
            told(outcome)
        if any(outcome.error for outcome in done):
            break
    return done


def may_fork() -> bool:
    """A fork has the shop loaded; it is safe where no other thread holds a lock that nobody in the child will free."""
    return sys.platform == "linux" and threading.active_count() == 1


def _in_turn(work: Work, aliases: Sequence[str], _jobs: int) -> Iterator[Outcome]:
    for alias in aliases:
        outcome = _outcome(work, alias)
        yield outcome
        if outcome.error:
            return


def _together(work: Work, aliases: Sequence[str], jobs: int) -> Iterator[Outcome]:
    connections.close_all()  # a fork would share them
    waiting, failed = list(aliases), False
    running: dict[Connection, tuple[str, BaseProcess]] = {}
    try:
        while running or (waiting and not failed):
            while waiting and len(running) < jobs and not failed:
                alias = waiting.pop(0)
                receiver, process = _begin(work, alias)
                running[receiver] = alias, process
            ready = wait(list(running))
            for receiver in [each for each in running if each in ready]:
                outcome = _ended(receiver, *running.pop(receiver))
                failed = failed or bool(outcome.error)
                yield outcome
    finally:
        for _, process in running.values():
            process.terminate()


def _begin(work: Work, alias: str) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work_alone, args=(work, alias, sender), daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _ended(receiver: Connection, alias: str, process: BaseProcess) -> Outcome:
    try:
        outcome: Outcome = receiver.recv()
    except EOFError:
        process.join()
        return Outcome(alias=alias, error=f"its process ended with {process.exitcode} before it was done")
    process.join()
    return outcome


def _work_alone(work: Work, alias: str, sender: Connection) -> None:
    """In the new process. Who began it may be gone: then nobody is told."""
    with suppress(BrokenPipeError, KeyboardInterrupt):
        sender.send(_outcome(work, alias))
    connections.close_all()


def _outcome(work: Work, alias: str) -> Outcome:
    started = time.monotonic()
    try:
        waiting = work(alias)
    except (DatabaseError, ForeignDatabase) as error:
        return Outcome(alias=alias, error=(str(error).strip() or type(error).__name__).splitlines()[0])
    except Exception as error:
        return Outcome(alias=alias, error=f"{type(error).__name__}: {error}", bug=traceback.format_exc())
    return Outcome(alias=alias, waiting=waiting, seconds=time.monotonic() - started)
