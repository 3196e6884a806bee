"""A slice that changes hands again and again while processes write in it: nothing is lost, nothing is where it is not.

Beside those who go by the map there is one who never reads it again and speaks raw SQL; and it does harm once the
fence is away. `FLIPS` sets how often the slice changes hands.
"""

import os
import threading
import time
from collections import Counter
from itertools import cycle

import pytest
from django.db import OperationalError

from shop.sharding import bucket_of, key_of_bucket
from shop.sharding.fencing import install_fence, remove_fence
from shop.sharding.models import UniqueTarget
from shop.sharding.shard_map import forget_shard_map, load_shard_map
from shop.sharding.slices import changing_slices, lock_buckets, publish, set_owned
from tests.kernel.probes import ALIASES, CONTEXT, LAST
from tests.kernel.processes import environment_here, start
from tests.shards import ANOTHER_SHARD

pytestmark = [pytest.mark.django_db(databases=ALIASES, transaction=True), ANOTHER_SHARD]

FLIPS = int(os.environ.get("FLIPS") or 20)
FULL = 200
LO, HI = 100, 131
TABLE = UniqueTarget._meta.db_table

WRITER = """
import random, sys, time
from django.db import OperationalError
from shop.sharding import new_id, rerouted, shard_at_once, shard_atomic
from shop.sharding.models import UniqueTarget
from shop.sharding.together import insert_if_new, insert_together
def in_a_transaction(key):
    with shard_atomic("catalog", key) as scope:
        UniqueTarget.objects.using(scope.alias).create(id=key, void=False)
def at_once(key):
    def write():
        with shard_at_once("catalog", key):
            insert_together(UniqueTarget(id=key, void=False))
    rerouted("catalog", write)
def by_one_statement(key):
    assert insert_if_new("catalog", UniqueTarget(id=key, void=False))
ways = [in_a_transaction, at_once, by_one_statement]
print("ready", flush=True)
while not sys.stdin.closed:
    key = new_id("catalog", bucket=random.randint(<lo> - 2, <hi> + 2))
    try:
        random.choice(ways)(key)
        print(key, flush=True)
    except OperationalError:  # a busy machine: a client is answered 503, and comes again
        print("put off", flush=True)
    time.sleep(random.uniform(0, 0.004))
"""
ROGUE = """
import random, sys, time
from django.db import OperationalError, connections
from shop.sharding import ShardMoved, new_id
print("ready", flush=True)
while not sys.stdin.closed:
    key = new_id("catalog", bucket=random.randint(<lo>, <hi>))
    try:
        with connections["catalog_0"].cursor() as cursor:
            cursor.execute("INSERT INTO <table> (id, void) VALUES (%s, %s)", [key, False])
        print(key, flush=True)
    except ShardMoved:
        print("refused", flush=True)
    except OperationalError:
        pass
    time.sleep(random.uniform(0, 0.004))
"""


@pytest.fixture(autouse=True)
def own_map():
    load_shard_map(CONTEXT)
    yield
    forget_shard_map(CONTEXT)


@pytest.fixture
def crowd():
    """Processes that write until they are told to stop; then, what each was told is done."""
    running = []

    def begin(*scripts):
        running.extend(listened_to(script) for script in scripts)
        return [lines for _, _, lines in running]

    def end():
        for process, *_ in running:
            process.terminate()  # at any line: what was printed was acknowledged
        said = [all_said(*each) for each in running]
        running.clear()
        return said

    yield begin, end
    for process, listening, _ in running:
        process.kill()
        listening.join(30)
        process.communicate()


def listened_to(script):
    """A process at work, who reads what it says, and what it has said: unread it would stand still at a full pipe."""
    process, lines = start(filled(script), environment_here(CONTEXT)), []
    assert process.stdout.readline() == "ready\n", process.stderr.read()[-3000:]
    listening = threading.Thread(target=listen, args=(process.stdout, lines))
    listening.start()
    return process, listening, lines


def listen(spoken, lines):
    for line in spoken:
        lines.append(line)


def all_said(process, listening, lines):
    """The whole lines that it has said, once it has ended."""
    listening.join(30)
    _, err = process.communicate(timeout=30)
    assert "Traceback" not in err, err[-3000:]
    return [line for line in lines if line.endswith("\n")]


def filled(script):
    return script.replace("<lo>", str(LO)).replace("<hi>", str(HI)).replace("<table>", TABLE)


def flip(source, target):
    """Hand the slice over, rows and all, as a mover would: the source gives up first, the target takes last."""
    epoch = load_shard_map(CONTEXT).epoch + 1
    low, high = key_of_bucket(LO), key_of_bucket(HI + 1)
    with changing_slices(source):
        lock_buckets(source, LO, HI)
        rows = list(UniqueTarget.objects.using(source).filter(pk__gte=low, pk__lt=high))
        UniqueTarget.objects.using(source).filter(pk__gte=low, pk__lt=high).delete()
        set_owned(source, LO, HI, owned=False, epoch=epoch)
    with changing_slices(target):
        set_owned(target, LO, HI, owned=True, epoch=epoch)
        UniqueTarget.objects.using(target).bulk_create(rows)
    assert publish(CONTEXT, LO, HI, target) == epoch


def flip_patiently(source, target):
    for _ in range(100):
        try:
            flip(source, target)
        except OperationalError:  # a writer held its bucket for longer than the mover waits
            time.sleep(0.01)
        else:
            return
    pytest.fail("the slice could not be locked")


def flips(times, rogue):
    there_and_back = cycle([("catalog_0", LAST), (LAST, "catalog_0")])
    for source, target in (next(there_and_back) for _ in range(times)):
        flip_patiently(source, target)
        until_it_has_tried_again(rogue)


def until_it_has_tried_again(lines):
    """Twice: the first may be told of what it did before."""
    before, deadline = len(lines), time.monotonic() + 30
    while len(lines) < before + 2:
        assert time.monotonic() < deadline, "the raw writer stands still"
        time.sleep(0.005)


def places_of_rows():
    return {alias: set(UniqueTarget.objects.using(alias).values_list("pk", flat=True)) for alias in ALIASES}


def assert_whole(acknowledged):
    """Each row that somebody was told of is at its owner; no row is anywhere else."""
    owners, places = load_shard_map(CONTEXT), places_of_rows()
    astray = {
        (alias, bucket_of(key))
        for alias, keys in places.items()
        for key in keys
        if owners.alias_of_bucket(bucket_of(key)) != alias
    }
    assert astray == set()
    assert Counter(acknowledged).most_common(1)[0][1] == 1
    assert set(acknowledged) - set.union(*places.values()) == set()


def hand_over_under_writes(crowd, times):
    begin, end = crowd
    *_, heard = begin(WRITER, WRITER, ROGUE)
    flips(times, heard)
    *lawful, rogue = end()
    told = [line for lines in lawful for line in lines]
    acknowledged = [int(line) for line in told if line != "put off\n"]
    let_in = [int(line) for line in rogue if line != "refused\n"]
    refused = len(rogue) - len(let_in)
    put_off = len(told) - len(acknowledged)
    print(f"{times} flips: {len(acknowledged)} writes by the map, {put_off} put off,", end=" ")
    print(f"{len(let_in)} raw ones let in, {refused} refused")
    return acknowledged, let_in, refused


def test_nothing_is_lost_and_nothing_is_on_the_wrong_shard(crowd):
    acknowledged, let_in, refused = hand_over_under_writes(crowd, FLIPS)
    assert acknowledged
    assert refused
    assert_whole(acknowledged + let_in)


@pytest.mark.evidence
def test_nothing_is_lost_over_two_hundred_flips(crowd):
    acknowledged, let_in, refused = hand_over_under_writes(crowd, FULL)
    assert refused
    assert_whole(acknowledged + let_in)


def test_without_the_fence_a_raw_writer_does_harm(crowd):
    """What the fence is for; and that the looking above would see it."""
    for alias in ALIASES:
        remove_fence(alias)
    try:
        acknowledged, let_in, refused = hand_over_under_writes(crowd, 5)
        assert refused == 0
        with pytest.raises(AssertionError):
            assert_whole(acknowledged + let_in)
    finally:
        for alias in ALIASES:
            UniqueTarget.objects.using(alias).all().delete()
            install_fence(alias)
