"""The generator within one process: no ID twice, whatever the clock and the lease do."""

import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from shop.sharding import (
    bucket_of,
    created_ms_of,
    generator,
    home_atomic,
    key_of_bucket,
    new_id,
    shard_atomic,
)
from shop.sharding.generator import IdGenerator, NoWorkerNumber, now_ms
from shop.sharding.ids import TICK_BITS, WORKER_BITS, WORKERS
from shop.sharding.models import WorkerLease
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT
from tests.shards import ANOTHER_SHARD

pytestmark = pytest.mark.django_db(databases=ALIASES)

COMMITTING = pytest.mark.django_db(databases=ALIASES, transaction=True)
HOME = "catalog_0"
WINDOW_MS = 20_000
"""Short enough to be used up."""
BUCKET = 77


def worker_of(number):
    return number & ((1 << WORKER_BITS) - 1)


def tick_of(number):
    return number >> WORKER_BITS & ((1 << TICK_BITS) - 1)


def leases():
    return WorkerLease.objects.using(HOME)


def lapse(**which):
    leases().filter(**which).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))


@pytest.fixture(autouse=True)
def short_window(monkeypatch):
    monkeypatch.setattr(generator, "WINDOW_MS", WINDOW_MS)
    monkeypatch.setattr(generator, "RAISED_EACH_MS", WINDOW_MS // 2)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets, in milliseconds of the IDs."""
    now = [1_000_000]
    monkeypatch.setattr(generator, "now_ms", lambda: now[0])

    def set_to(milliseconds):
        now[0] = milliseconds

    return set_to


@pytest.fixture
def ids():
    """A generator as a fresh process has one."""
    return IdGenerator(CONTEXT)


def test_an_id_says_its_bucket_and_its_time(ids):
    before = int(time.time() * 1000)
    number = ids.new(BUCKET)
    assert bucket_of(number) == BUCKET
    assert before <= created_ms_of(number) <= int(time.time() * 1000)


def test_near_means_the_same_bucket():
    assert bucket_of(new_id(CONTEXT, near=key_of_bucket(BUCKET))) == BUCKET
    assert bucket_of(new_id(CONTEXT, bucket=BUCKET)) == BUCKET


def test_a_burst_borrows_the_coming_milliseconds(ids, clock):
    made = [ids.new(BUCKET) for _ in range(500)]
    assert [tick_of(number) for number in made] == list(range(1_000_000, 1_000_500))


def test_a_burst_in_one_bucket_leaves_the_others_in_the_present(ids, clock):
    for _ in range(500):
        ids.new(BUCKET)
    assert tick_of(ids.new(BUCKET + 1)) == 1_000_000


def test_a_burst_longer_than_the_window_goes_on(ids, clock):
    made = {ids.new(BUCKET) for _ in range(WINDOW_MS + 500)}
    assert len(made) == WINDOW_MS + 500
    assert leases().get().high_ms >= max(map(tick_of, made))


@pytest.mark.parametrize("back", [1, 500, 3_600_000 // 4])
def test_a_clock_that_steps_back_repeats_nothing(ids, clock, back):
    made = [ids.new(BUCKET) for _ in range(50)]
    clock(1_000_000 - back)
    made += [ids.new(BUCKET) for _ in range(50)]
    assert made == sorted(set(made))


def test_a_clock_that_steps_back_between_two_processes_repeats_nothing(clock):
    first = IdGenerator(CONTEXT)
    made = [first.new(BUCKET) for _ in range(50)]
    lapse()
    clock(1_000)
    second = IdGenerator(CONTEXT)
    made += [second.new(BUCKET) for _ in range(50)]
    assert {worker_of(number) for number in made} == {0}
    assert len(set(made)) == 100


def test_nothing_is_issued_above_what_the_lease_row_says(ids, clock):
    for step in range(0, 100_000, 7_000):
        clock(1_000_000 + step)
        assert tick_of(ids.new(BUCKET)) <= leases().get().high_ms


def test_the_window_is_raised_ahead_of_need_and_never_lowered(ids, clock, monkeypatch):
    ids.ensure_window()
    assert leases().get().high_ms == 1_000_000 + WINDOW_MS
    clock(1_000_000 + WINDOW_MS - 1)
    ids.ensure_window()
    raised = leases().get().high_ms
    assert raised == 1_000_000 + 2 * WINDOW_MS - 1
    times = iter([raised, 5])  # the clock steps back while the window is being raised
    monkeypatch.setattr(generator, "now_ms", lambda: next(times))
    ids.ensure_window()
    assert leases().get().high_ms >= raised


def test_a_lapsed_lease_is_taken_over_above_everything_it_may_have_issued(clock):
    first = IdGenerator(CONTEXT)
    made = [first.new(BUCKET) for _ in range(WINDOW_MS + 3)]
    lapse()
    second = IdGenerator(CONTEXT)
    taken = second.new(BUCKET)
    assert worker_of(taken) == worker_of(made[0])
    assert tick_of(taken) > max(map(tick_of, made))


def test_a_live_lease_is_not_taken_over(clock):
    first, second = IdGenerator(CONTEXT), IdGenerator(CONTEXT)
    assert worker_of(first.new(BUCKET)) != worker_of(second.new(BUCKET))


def test_a_process_that_lost_its_lease_issues_no_more_under_it(clock):
    """Given a process that slept so long that another one has its number."""
    slow = IdGenerator(CONTEXT)
    made = [slow.new(BUCKET) for _ in range(5)]
    lapse()
    other = IdGenerator(CONTEXT)
    made += [other.new(BUCKET) for _ in range(5)]
    clock(1_000_000 + 3 * WINDOW_MS)
    made += [other.new(BUCKET), slow.new(BUCKET)]
    assert worker_of(made[-1]) != worker_of(made[0])
    assert len(set(made)) == len(made)


def test_within_its_window_a_lost_lease_still_repeats_nothing(clock):
    slow = IdGenerator(CONTEXT)
    slow.new(BUCKET)
    lapse()
    other = IdGenerator(CONTEXT)
    made = [g.new(BUCKET) for _ in range(200) for g in (slow, other)]
    assert len(set(made)) == len(made)


def test_the_lowest_used_of_the_lapsed_numbers_is_taken():
    far = generator.now_ms() + 10**9
    for worker, high in enumerate((far, 5, far + 1)):
        leases().create(worker=worker, token=uuid.uuid4(), high_ms=high, expires_at=datetime.now(UTC))
    assert worker_of(IdGenerator(CONTEXT).new(BUCKET)) == 1


def test_when_all_numbers_are_leased_it_says_so(ids):
    later = datetime.now(UTC) + timedelta(hours=1)
    leases().bulk_create(WorkerLease(worker=n, token=uuid.uuid4(), high_ms=0, expires_at=later) for n in range(WORKERS))
    with pytest.raises(NoWorkerNumber, match="1024"):
        ids.new(BUCKET)
    lapse(worker=1023)
    assert worker_of(ids.new(BUCKET)) == 1023


def test_a_used_up_window_inside_a_home_transaction_is_a_clear_error(ids, clock):
    ids.ensure_window()
    with home_atomic(CONTEXT), pytest.raises(RuntimeError, match="used up"):
        for _ in range(WINDOW_MS + 2):
            ids.new(BUCKET)


@ANOTHER_SHARD
def test_on_another_shard_the_window_is_raised_within_a_transaction(ids, clock):
    with shard_atomic(CONTEXT, key_of_bucket(RIGHT)):
        made = {ids.new(BUCKET) for _ in range(WINDOW_MS + 2)}
    assert len(made) == WINDOW_MS + 2


@COMMITTING
def test_threads_share_one_generator_without_a_duplicate(ids, in_threads):
    made = in_threads(*[lambda: [ids.new(n % 3) for n in range(20_000)] for _ in range(8)])
    found = Counter(number for part in made for number in part)
    assert len(found) == 8 * 20_000
    assert {worker_of(number) for number in found} == {0}


@COMMITTING
def test_who_holds_the_homes_write_lock_gets_an_id_while_another_raises_the_window(ids):
    """Given a transaction on the home, and a thread that waits for it in order to raise the window."""
    ids.ensure_window()
    waiting = threading.Event()

    def raise_window():
        waiting.set()
        ids._raising.acquire()
        try:
            ids._raise_to(generator.now_ms() + 3 * WINDOW_MS)
        finally:
            ids._raising.release()
            connections.close_all()

    thread = threading.Thread(target=raise_window)
    with home_atomic(CONTEXT):
        list(leases().select_for_update())
        thread.start()
        waiting.wait(5)
        time.sleep(0.2)
        started = time.monotonic()
        assert bucket_of(ids.new(LEFT)) == LEFT
        took = time.monotonic() - started
    thread.join(10)
    assert took < 2


@COMMITTING
def test_a_used_up_window_is_told_at_once_even_while_another_thread_raises_it(ids, clock):
    ids.ensure_window()
    held = threading.Event()
    done = threading.Event()

    def hold():
        with ids._raising:
            held.set()
            done.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    with home_atomic(CONTEXT):
        clock(1_000_000 + 2 * WINDOW_MS)
        started = time.monotonic()
        with pytest.raises(RuntimeError, match="used up"):
            ids.new(BUCKET)
        took = time.monotonic() - started
    done.set()
    thread.join(10)
    assert took < 1


@COMMITTING
def test_entering_a_scope_does_not_wait_for_a_thread_that_raises_a_window_with_something_left(in_threads):
    # given a window that is half used up, and another thread that is raising it
    ours = generator.generator_of(CONTEXT)
    ours.ensure_window()
    ours._lease = replace(ours._lease, high=now_ms() + WINDOW_MS // 4)
    with ours._raising:
        # when a scope is entered, then at once
        started = time.monotonic()
        in_threads(lambda: shard_atomic(CONTEXT, key_of_bucket(RIGHT)).__enter__())
        assert time.monotonic() - started < 1


@COMMITTING
def test_entering_a_scope_waits_for_the_first_window(in_threads):
    # given a process without a window, and another thread that is about to get one
    ours = generator.generator_of(CONTEXT)
    ours._lease = generator._NOTHING
    ours._raising.acquire()
    threading.Timer(0.3, ours._raising.release).start()

    def enter_home_and_make_one():
        with home_atomic(CONTEXT):
            return ours.new(BUCKET)

    # when a transaction on the home needs an ID, then it has waited outside of it
    assert in_threads(enter_home_and_make_one) != []
