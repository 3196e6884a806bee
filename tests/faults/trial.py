"""Visitors of a shard that is lost and healed in turn, and of another one: what becomes of them, and when."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.e2e.people import eventually
from tests.faults.visitors import Visit, Visitor

BACK_WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class Fault:
    """What is done to a shard, and what makes it well again."""

    strike: Callable[[], None]
    heal: Callable[[], None]


@dataclass
class Round:
    """Moments: all well, the shard is being lost, it is lost, healing begins, all its customers are served, the end."""

    calm: float
    strike: float
    lost: float
    healed: float = 0.0
    back: float = 0.0
    end: float = 0.0


@dataclass
class Trial:
    """Visitors of both shards over some rounds of calm and fault in turn."""

    own: list[Visitor]
    others: list[Visitor]
    rounds: list[Round] = field(default_factory=list)

    def run(self, fault: Fault, *, rounds: int, seconds: float) -> None:
        """Let them come; ``seconds`` of each round it is calm, for as long the shard is lost, and well again."""
        everybody = (*self.own, *self.others)
        for visitor in everybody:
            visitor.start()
        try:
            time.sleep(min(3.0, seconds))  # for what is done once
            for _ in range(rounds):
                self.rounds.append(self._round(fault, seconds))
                for visitor in everybody:
                    visitor.sign_in()
        finally:
            for visitor in everybody:
                visitor.call_off()

    def _round(self, fault: Fault, seconds: float) -> Round:
        calm = time.monotonic()
        time.sleep(seconds)
        strike = time.monotonic()
        fault.strike()
        this = Round(calm, strike, time.monotonic())
        try:
            time.sleep(seconds)
        finally:
            this.healed = time.monotonic()
            fault.heal()
        eventually(lambda: self._back(this) is not None, seconds=BACK_WITHIN_SECONDS)
        this.back = self._back(this) or 0.0
        time.sleep(seconds)
        this.end = time.monotonic()
        return this

    def _back(self, this: Round) -> float | None:
        """When each of the lost shard's customers had been served again."""
        firsts = [
            next((v.over for v in list(each.visits) if v.begun >= this.healed and v.status < 300), None)
            for each in self.own
        ]
        return None if None in firsts else max(first for first in firsts if first is not None)

    def visits(self, visitors: Sequence[Visitor], begin: str, end: str) -> list[Visit]:
        """Those that were over between two moments of a round."""
        spans = [(getattr(each, begin), getattr(each, end)) for each in self.rounds]
        return [v for visitor in visitors for v in visitor.visits if any(a <= v.over < b for a, b in spans)]

    def told(self) -> list[Visit]:
        """Of the lost shard's customers those who came, and were answered, while it was lost."""
        within = [(each.lost, each.healed) for each in self.rounds]
        return [v for visitor in self.own for v in visitor.visits if any(a <= v.begun < v.over < b for a, b in within)]

    def told_after(self) -> list[float]:
        """Of each round: for how long one of them waited at most, of who was caught or came before healing began."""
        return [
            max(v.over - max(v.begun, at.strike) for each in self.own for v in each.visits if _is_hit(v, at))
            for at in self.rounds
        ]

    def back_after(self) -> list[float]:
        """Of each round: seconds from the beginning of its healing."""
        return [each.back - each.healed for each in self.rounds]


def _is_hit(visit: Visit, this: Round) -> bool:
    return this.strike < visit.over and visit.begun < this.healed
