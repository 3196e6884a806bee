"""What a replay has done so far, counted by many threads at once, and its summary."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence


class Tally:
    """Counts by part and name: ``("orders", "paid")``. Amounts are counted in minor units, by currency."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._rows: dict[str, Counter[str]] = {}

    def add(self, part: str, name: str, number: int = 1) -> None:
        """Count ``number`` more."""
        with self._lock:
            self._counts[part, name] += number

    def add_rows(self, kind: str, alias: str, number: int = 1) -> None:
        """Count rows that lie on one shard."""
        with self._lock:
            self._rows.setdefault(kind, Counter())[alias] += number

    def part(self, part: str) -> dict[str, int]:
        """All counts of one part, by name."""
        with self._lock:
            return {name: number for (of, name), number in sorted(self._counts.items()) if of == part}

    def rows(self, shards: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
        """Rows by kind and shard, ``shards`` being those that may have some."""
        with self._lock:
            found = {kind: self._rows.get(kind, Counter()) for kind in shards}
            return {kind: {alias: found[kind][alias] for alias in aliases} for kind, aliases in shards.items()}


def skew_of(rows: Mapping[str, int]) -> float:
    """How much fuller the fullest shard is than the average one: 1 where all are alike, 2 where one of two has all."""
    total = sum(rows.values())
    return round(max(rows.values()) * len(rows) / total, 3) if total else 1.0
