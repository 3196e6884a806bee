"""What processes of this machine have used, as /proc tells: CPU time and memory. Servers and databases are asked."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
PARENT, USER, SYSTEM = 1, 11, 12  # fields of /proc/<pid>/stat, counted behind the process's name
PROC: Final = Path("/proc")


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that all threads of the processes have used; one that is gone has used none."""
    found = (_stat(pid) for pid in pids)
    return sum((int(stat[USER]) + int(stat[SYSTEM])) / TICKS for stat in found if stat)


def main_thread_seconds(pids: Iterable[int]) -> float:
    """CPU time of their main threads, to the nanosecond: work shorter than a tick (10 ms) counts too."""
    return sum(_nanoseconds(pid) / 1e9 for pid in pids)


def _nanoseconds(pid: int) -> float:
    try:
        return int((PROC / str(pid) / "schedstat").read_text().split()[0])
    except OSError:
        return cpu_seconds([pid]) * 1e9


def children_of(pid: int) -> list[int]:
    """Processes that ``pid`` has started and that live."""
    every = (int(path.name) for path in PROC.iterdir() if path.name.isdigit())
    return sorted(each for each in every if (stat := _stat(each)) and int(stat[PARENT]) == pid)


def command_of(pid: int) -> str:
    """Its command line; empty where there is no such process."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def own_mb(pid: int) -> float:
    """Memory that nobody else has: without what a worker shares with the process it was forked from."""
    return _rollup_mb(pid, "Private_Clean:", "Private_Dirty:")


def resident_mb(pid: int) -> float:
    """Memory in use, shared pages included."""
    return _rollup_mb(pid, "Rss:")


def _rollup_mb(pid: int, *names: str) -> float:
    lines = (line.split() for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines())
    return sum(int(words[1]) for words in lines if words[0] in names) / 1024


def _stat(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []
