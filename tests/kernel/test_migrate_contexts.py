"""`manage.py migrate_contexts`: side by side, homes first, nothing more after an error, and how to go on."""

import os
import signal
import time

import pytest
from django.db import OperationalError

from shop.sharding import migrating
from shop.sharding.first_migrate import ForeignDatabase
from shop.sharding.migrating import run

pytestmark = [
    pytest.mark.once,
    # the command forks before it has a thread; pytest has some of other tests
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def forked(monkeypatch):
    monkeypatch.setattr(migrating, "may_fork", lambda: True)


ALIASES = ["auth_0", "auth_1", "catalog_0", "catalog_1", "catalog_2", "ordering_0"]


def outcomes(work, jobs=2, aliases=ALIASES):
    told = []
    done = run(work, aliases, jobs=jobs, told=told.append)
    assert told == done
    return done


class Lock:
    """A file per database that is worked on: other processes see it."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, alias):
        mark = self.folder / alias
        mark.touch()
        time.sleep(0.05)
        at_once = len(list(self.folder.iterdir()))
        (self.folder.parent / f"{alias}.{at_once}").touch()
        mark.unlink()
        return 0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.mark.parametrize("jobs", [1, 2, 6])
def test_homes_come_first_and_no_more_than_jobs_are_worked_on_at_once(jobs, folder):
    done = [outcome.alias for outcome in outcomes(Lock(folder), jobs)]
    assert set(done[:3]) == {"auth_0", "catalog_0", "ordering_0"}
    assert sorted(done) == sorted(ALIASES)
    at_once = {int(mark.suffix[1:]) for mark in folder.parent.glob("*.?")}
    assert max(at_once) <= jobs


def test_each_is_worked_on_in_a_process_of_its_own():
    assert {outcome.waiting for outcome in outcomes(lambda alias: os.getpid())} & {os.getpid()} == set()
    assert len({outcome.waiting for outcome in outcomes(lambda alias: os.getpid())}) == len(ALIASES)


@pytest.mark.parametrize("error", [OperationalError("no disk"), ForeignDatabase("another one")])
def test_after_an_error_nothing_more_is_begun_and_what_runs_ends(error, folder):
    def work(alias):
        if alias == "catalog_0":
            raise error
        time.sleep(0.2)
        (folder / alias).touch()
        return 3

    done = outcomes(work, jobs=2)
    assert [outcome.error for outcome in done if outcome.alias == "catalog_0"] == [str(error)]
    assert {outcome.alias for outcome in done if not outcome.error} == {file.name for file in folder.iterdir()}
    assert not {"auth_1", "catalog_1", "catalog_2"} & {outcome.alias for outcome in done}


def test_a_bug_is_told_with_its_traceback():
    (found,) = outcomes(lambda alias: {}["no such key"], jobs=1, aliases=["auth_0"])
    assert found.error == "KeyError: 'no such key'"
    assert "Traceback" in found.bug


def test_a_process_that_is_killed_is_an_error_like_others():
    (found,) = outcomes(lambda alias: os.kill(os.getpid(), signal.SIGKILL) or 0, jobs=1, aliases=["auth_0"])
    assert found.error == "its process ended with -9 before it was done"


def test_what_a_database_says_of_itself_is_one_line():
    def work(alias):
        raise OperationalError("first line\nsecond line")

    assert [outcome.error for outcome in outcomes(work, jobs=1, aliases=["auth_0"])] == ["first line"]
