"""The generator over processes: leases in the home, a crash, a fork."""

import os
import select
import signal
from datetime import UTC, datetime, timedelta

import pytest

from shop.sharding.ids import WORKER_BITS
from shop.sharding.models import WorkerLease
from tests.kernel.probes import ALIASES
from tests.kernel.processes import environment_here, result, start

pytestmark = pytest.mark.django_db(databases=ALIASES, transaction=True)

BURST = """
import json, sys
from shop.sharding import new_id
sys.stdin.readline()
print(json.dumps([new_id("catalog", bucket=n % 2) for n in range(30_000)]))
"""
ENDLESS = """
import sys
from shop.sharding import new_id
while True:
    print(*[new_id("catalog", bucket=7) for _ in range(100)], flush=True)
"""
FORK = """
import json, os, signal
from django.db import connections
from shop.sharding import new_id
signal.alarm(20)
before = [new_id("catalog", bucket=3) for _ in range(100)]
connections.close_all()
out, into = os.pipe()
child = os.fork()
made = [new_id("catalog", bucket=3) for _ in range(2_000)]
if not child:
    os.write(into, json.dumps(made).encode())
    os._exit(0)
os.close(into)
with os.fdopen(out) as pipe:
    theirs = json.load(pipe)
os.waitpid(child, 0)
print(json.dumps([before + made, theirs]))
"""
FORK_WHILE_RAISING = """
import json, os, signal, threading
from django.db import connections
from shop.sharding import new_id
from shop.sharding.generator import generator_of
new_id("catalog", bucket=3)
connections.close_all()
held, done = threading.Event(), threading.Event()
def hold():
    ours = generator_of("catalog")
    with ours._raising, ours._issuing:
        held.set()
        done.wait(10)
threading.Thread(target=hold, daemon=True).start()
held.wait(5)
import warnings
warnings.simplefilter("ignore")
child = os.fork()
if not child:
    signal.alarm(5)
    new_id("catalog", bucket=3)
    os._exit(0)
_, status = os.waitpid(child, 0)
done.set()
print(json.dumps(status))
"""


def workers(numbers):
    return {number & ((1 << WORKER_BITS) - 1) for number in numbers}


def test_processes_make_no_id_twice():
    running = [start(BURST, environment_here("catalog")) for _ in range(3)]
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    made = [result(process) for process in running]
    everything = [number for part in made for number in part]
    assert len(set(everything)) == len(everything) == 90_000
    assert [len(workers(part)) for part in made] == [1, 1, 1]
    assert len(workers(everything)) == 3


def test_a_number_left_by_a_killed_process_is_used_again_above_its_mark():
    """Given a process killed in a burst far ahead of its clock, when another one gets its number at once."""
    environment = environment_here("catalog")
    process = start(ENDLESS, environment)
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], 30)
    assert ready
    seen = [int(word) for _ in range(300) for word in process.stdout.readline().split()]
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read()  # by the reader that has read ahead, of which `communicate` does not know
    process.communicate()
    seen += [int(word) for line in rest.splitlines()[:-1] for word in line.split()]
    gone = datetime.now(UTC) - timedelta(seconds=1)
    WorkerLease.objects.using("catalog_0").filter(worker__in=workers(seen)).update(expires_at=gone)
    again = result(
        start(
            'import json\nfrom shop.sharding import new_id\nprint(json.dumps([new_id("catalog", bucket=7)'
            " for _ in range(30_000)]))",
            environment,
        )
    )
    assert workers(again) == workers(seen)
    assert min(again) > max(seen)


def test_after_a_fork_both_go_on_without_a_duplicate():
    ours, theirs = result(start(FORK, environment_here("catalog")))
    assert not set(ours) & set(theirs)
    assert not workers(ours) & workers(theirs)


def test_a_child_of_a_process_that_was_just_raising_its_window_is_not_stuck():
    assert result(start(FORK_WHILE_RAISING, environment_here("catalog"))) == 0
