"""A database that does not answer holds up no work on the others: IDs, sweepers, jobs, delivery."""

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from django.db import DatabaseError, OperationalError, connections

from shop.events import embedded, jobs
from shop.events.away import Away, is_away
from shop.events.housekeeping import finish_dangling_values
from shop.http.idempotency import forget_old_claims
from shop.http.models import IdempotencyClaim
from shop.sharding import (
    ShardUnavailable,
    alias_of,
    generator,
    hash_bucket,
    key_of_bucket,
    new_id,
    shard_atomic,
    shard_map,
)
from shop.sharding.models import UniqueValue
from tests.kernel.probes import ALIASES, CONTEXT, RIGHT, Parcel, parcel_in
from tests.shards import ANOTHER_DATABASE

HOME, OTHER = ALIASES[0], ALIASES[-1]
COMMITTING = pytest.mark.django_db(databases=ALIASES, transaction=True)
pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


@pytest.fixture(autouse=True)
def a_process_that_has_been_at_work(probe_tables):
    """It knows the map, and has a window of IDs."""
    shard_map(CONTEXT)
    generator.generator_of(CONTEXT).ensure_window()


@contextmanager
def away(alias):
    """Nothing asked of ``alias`` in this thread is answered; gives the list of what was asked."""
    asked = []

    def refuse(execute, sql, params, many, context):
        asked.append(sql)
        raise ShardUnavailable(detail=f"{alias} does not answer")

    with connections[alias].execute_wrapper(refuse):
        yield asked


@pytest.fixture
def used_up():
    """Leave the process so many milliseconds of IDs."""

    def leave(milliseconds):
        ours = generator.generator_of(CONTEXT)
        ours.ensure_window()
        ours._lease, before = replace(ours._lease, high=generator.now_ms() + milliseconds), ours._lease
        return before

    yield leave
    generator._generators.clear()


@ANOTHER_DATABASE
def test_without_its_home_a_process_issues_ids_from_what_it_has_left(used_up):
    used_up(60_000)
    with away(HOME) as asked:
        made = [parcel_in(RIGHT).pk for _ in range(5)]
    assert len(set(made)) == 5
    # and it does not knock at the home's door each time
    assert len(asked) == 1


@COMMITTING
def test_a_server_that_nobody_asks_for_ids_raises_its_window_all_the_same(used_up, monkeypatch):
    monkeypatch.setattr(embedded.wake, "wait", lambda *_: False)
    monkeypatch.setattr(embedded, "run_due_jobs", lambda context, **_: 0)
    delivery = embedded.Embedded()
    ours = generator.generator_of(CONTEXT)
    # given one that was quiet for nine minutes
    used_up(60_000)
    # when its home is away, then it goes on
    with away(HOME):
        delivery._jobs_round(CONTEXT)
    # when it is there
    ours._rests_until = 0.0
    delivery._jobs_round(CONTEXT)
    # then there is enough for the next nine
    assert ours._lease.high - generator.now_ms() > 9 * 60_000


def test_with_nothing_left_it_says_so(used_up):
    owner = new_id(CONTEXT, bucket=RIGHT)
    used_up(-1)
    with away(HOME), pytest.raises(ShardUnavailable), shard_atomic(CONTEXT, owner):
        pass


def test_a_lease_outlives_its_window():
    """Who takes the number over begins above the window, which then lies in the past."""
    assert generator.LEASE_SECONDS * 1_000 > generator.WINDOW_MS > 9 * generator.RAISED_EACH_MS


@ANOTHER_DATABASE
def test_dangling_values_of_the_other_shards_are_finished():
    target = new_id(CONTEXT, bucket=RIGHT)
    marks = ((word, key_of_bucket(hash_bucket("sku", word))) for word in map(str, count()))
    value = next(word for word, mark in marks if alias_of(CONTEXT, mark) == OTHER)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with shard_atomic(CONTEXT, target):
        UniqueValue.objects.using(OTHER).create(
            id=new_id(CONTEXT, near=target),
            kind="sku",
            value=value,
            target_id=target,
            state="reserved",
            reserved_at=long_ago,
        )
    with away(HOME), pytest.raises(ShardUnavailable):
        finish_dangling_values(CONTEXT)
    assert not UniqueValue.objects.using(OTHER).filter(target_id=target, state="reserved").exists()


@ANOTHER_DATABASE
def test_old_claims_on_the_other_shards_are_forgotten():
    key = new_id(CONTEXT, bucket=RIGHT)
    now = datetime.now(UTC)
    with shard_atomic(CONTEXT, key):
        IdempotencyClaim.objects.using(OTHER).create(
            id=key,
            principal="customer:1",
            key="k",
            fingerprint="f",
            lease_token="0" * 32,
            lease_until=now,
            resource_id=key,
            created_at=now - timedelta(hours=25),
        )
    with away(HOME), pytest.raises(ShardUnavailable):
        forget_old_claims(CONTEXT)
    assert not IdempotencyClaim.objects.using(OTHER).exists()


@ANOTHER_DATABASE
def test_a_sweeper_sees_the_rows_of_the_others():
    parcel = parcel_in(RIGHT)
    with away(HOME):
        page = Parcel.objects.across(partial=True).page(order=("id",), limit=10)
        assert Parcel.objects.across(partial=True).count() == 1
        with pytest.raises(ShardUnavailable):
            Parcel.objects.across().page(order=("id",), limit=10)
    assert ([row.pk for row in page.rows], page.more, page.missing) == ([parcel.pk], False, (HOME,))
    assert Parcel.objects.across(partial=True).page(order=("id",), limit=10).missing == ()


def test_what_a_sweeper_goes_without_is_told_with_its_reason(caplog):
    with away(HOME):
        Parcel.objects.across(partial=True).rows()
    [line] = [record.msg for record in caplog.records if record.msg["event"] == "shard_missing"]
    assert (line["database"], line["reason"]) == (HOME, f"shard_unavailable: {HOME} does not answer")


def test_a_statement_that_is_wrong_is_no_outage():
    with pytest.raises(DatabaseError) as caught, connections[HOME].cursor() as cursor:
        cursor.execute("SELECT nothing_of_that_name FROM shop_workerlease")
    assert not is_away(caught.value)


@pytest.mark.once
@pytest.mark.parametrize(
    "code", ["SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL"]
)
def test_a_file_that_can_not_be_used_now_is_an_outage(code):
    cause = sqlite3.OperationalError("as the driver says it")
    cause.sqlite_errorcode = getattr(sqlite3, code)
    error = OperationalError(str(cause))
    error.__cause__ = cause
    assert is_away(error)


def test_a_job_that_meets_an_outage_is_put_off_without_an_alarm(monkeypatch, caplog):
    def sweep():
        raise ShardUnavailable(detail=f"{HOME} does not answer")

    monkeypatch.setattr(jobs, "_jobs", {})
    jobs.chore(CONTEXT, "sweep", 0.0, sweep)
    [job] = jobs.jobs_of(CONTEXT)
    assert not jobs.run_job(job)
    assert "job_put_off" in caplog.text
    assert "Traceback" not in caplog.text


@COMMITTING
def test_what_failed_is_tried_again_while_the_broker_is_away(monkeypatch):
    def broker_is_away(*_):
        raise Away("refused")

    retried = []
    monkeypatch.setattr(embedded, "relay", broker_is_away)
    monkeypatch.setattr(embedded, "retry", lambda alias: retried.append(alias) or 0)
    monkeypatch.setattr(embedded.wake, "wait", lambda *_: False)
    embedded.Embedded()._relay_round(CONTEXT)
    assert retried == list(ALIASES)


@COMMITTING
@ANOTHER_DATABASE
def test_delivery_rests_where_it_fails_goes_on_elsewhere_and_tells_it_once(monkeypatch, caplog):
    clock = count()
    monkeypatch.setattr(
        embedded.time, "monotonic", lambda: next(clock) / (2 * len(ALIASES))
    )  # so that it rests every few turns
    turns = []
    monkeypatch.setattr(embedded, "relay", lambda alias, _: turns.append(alias) or 1)
    monkeypatch.setattr(embedded, "retry", lambda alias: 0)
    monkeypatch.setattr(embedded.wake, "wait", lambda *_: False)
    delivery = embedded.Embedded()
    with away(HOME) as asked:
        for _ in range(12):
            delivery._relay_round(CONTEXT)
    assert turns == [alias for _ in range(12) for alias in ALIASES if alias != HOME]
    assert 1 < len(asked) < 12
    assert caplog.text.count("delivery_stands") == 1
    # when it answers again
    for _ in range(12):
        delivery._relay_round(CONTEXT)
    assert HOME in turns
    assert caplog.text.count("delivery_goes_on") == 1
