"""What a run of generated requests came to, and the table that shows it."""

from collections import Counter
from dataclasses import dataclass, field

SEED = 20_261_122
BROKEN = 500


@dataclass
class Tally:
    """What came back: how often by operation and kind of status, and each answer that is out of line."""

    answers: dict[str, Counter[str]] = field(default_factory=dict)
    callers: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)

    def expect(self, label: str) -> None:
        """Show an operation, even if nobody ever calls it."""
        self.answers.setdefault(label, Counter())

    def count(self, label: str, caller: str, status: int, body: bytes) -> None:
        """Enter one answer."""
        self.answers[label][f"{status // 100}xx"] += 1
        self.callers[caller] += 1
        if status >= BROKEN:
            self.broken.append(f"{label} by {caller}: {status} {body[:300]!r}")

    @property
    def cases(self) -> int:
        return sum(sum(kinds.values()) for kinds in self.answers.values())

    def table(self) -> str:
        rows = [f"{'2xx':>6}{'4xx':>6}{'5xx':>6}{'cases':>7}  operation"]
        for label, kinds in sorted(self.answers.items()):
            numbers = "".join(f"{kinds[kind]:6}" for kind in ("2xx", "4xx", "5xx"))
            rows.append(f"{numbers}{sum(kinds.values()):7}  {label}")
        callers = ", ".join(f"{number} by {name}" for name, number in self.callers.items())
        return "\n".join([*rows, f"{self.cases} cases with the seed {SEED}: {callers}"])
