"""CPU time of processes: what is shorter than a tick of the machine's clock counts too."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.benches.processes import main_thread_seconds

pytestmark = pytest.mark.once

SPIN = """
import time
for _ in range(3):
    print(flush=True)
    input()
    until = time.thread_time() + 0.002
    while time.thread_time() < until:
        pass
print(flush=True)
input()
"""


def wait_until_asleep(pid: int) -> None:
    """The time of one that runs is told as of the last tick."""
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "S":
        time.sleep(0.001)


def test_two_milliseconds_of_work_are_seen_every_time():
    with subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = []
        for _ in range(4):
            process.stdout.readline()
            wait_until_asleep(process.pid)
            seen.append(main_thread_seconds([process.pid]))
            process.stdin.write(b"\n")
            process.stdin.flush()
    # then
    assert [after - before > 0.001 for before, after in pairwise(seen)] == [True] * 3


def test_a_process_that_is_gone_has_used_none():
    assert main_thread_seconds([2**22 + 1]) == 0
