"""Which slices to move where so that every shard has about the same: pure, of numbers alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from shop.sharding.ids import BUCKETS

GOOD_ENOUGH: Final = 1.05
"""The most that a shard may have, over the mean: below, another move isn't worth it."""
WORTH: Final = 0.02
"""Of the mean: what a move must carry at least."""
MOST_MOVES: Final = 32
WIDEST: Final = 1_024
"""Buckets of one move: each is locked when it changes hands, and a server has so many locks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Buckets ``lo`` … ``hi`` go from one shard to another, and ``load`` with them."""

    lo: int
    hi: int
    source: str
    target: str
    load: float

    @property
    def width(self) -> int:
        """Number of buckets."""
        return self.hi - self.lo + 1


class Balance:
    """Who owns which bucket, and what each bucket weighs; changed move by move."""

    def __init__(self, owners: Sequence[str], loads: Sequence[float], shards: Sequence[str]) -> None:
        self.owners = list(owners)
        self.loads = list(loads)
        self.by_shard = dict.fromkeys(shards, 0.0)
        for alias, load in zip(owners, loads, strict=True):
            self.by_shard[alias] += load
        self.mean = sum(loads) / len(self.by_shard)
        self.givers, self.takers = set[str](), set[str]()

    @property
    def skew(self) -> float:
        """The most that a shard has, over the mean."""
        return max(self.by_shard.values()) / self.mean if self.mean else 1.0

    def apply(self, move: Move) -> None:
        """As if it were done."""
        self.owners[move.lo : move.hi + 1] = [move.target] * move.width
        self.by_shard[move.source] -= move.load
        self.by_shard[move.target] += move.load
        self.givers.add(move.source)
        self.takers.add(move.target)

    def slices_of(self, alias: str) -> Iterator[tuple[int, int]]:
        """What it owns, in as few pieces as there are."""
        lo: int | None = None
        for bucket in range(BUCKETS + 1):
            mine = bucket < BUCKETS and self.owners[bucket] == alias
            if mine and lo is None:
                lo = bucket
            elif not mine and lo is not None:
                yield lo, bucket - 1
                lo = None


def plan(owners: Sequence[str], loads: Sequence[float], shards: Sequence[str]) -> list[Move]:
    """Moves that bring every shard near the mean: from the fullest to the emptiest, as much as one of them wants.

    Args:
        owners: Of each bucket.
        loads: What each bucket weighs.
        shards: All that may own something, those that own nothing yet too.
    """
    balance, moves = Balance(owners, loads, shards), list[Move]()
    while balance.skew > GOOD_ENOUGH and len(moves) < MOST_MOVES:
        move = _best(balance)
        if move is None:
            break
        balance.apply(move)
        moves.append(move)
    return [part for move in moves for part in _narrowed(move, loads)]


def _best(balance: Balance) -> Move | None:
    by_load = sorted(balance.by_shard, key=lambda alias: balance.by_shard[alias])
    source = next((alias for alias in reversed(by_load) if alias not in balance.takers), by_load[-1])
    target = next((alias for alias in by_load if alias not in balance.givers), by_load[0])  # nobody gives and takes
    surplus, room = balance.by_shard[source] - balance.mean, balance.mean - balance.by_shard[target]
    wanted = min(surplus, room)
    pieces = [piece for piece in _pieces(balance, source, target, wanted) if piece.load > WORTH * balance.mean]
    # what comes closest to what is wanted and makes nothing worse; of equal ones, what fits the target's own
    good = [piece for piece in pieces if abs(wanted - piece.load) < wanted]
    return min(good, key=lambda p: (abs(wanted - p.load), not _joins(balance, p), -p.width), default=None)


def _pieces(balance: Balance, source: str, target: str, wanted: float) -> Iterator[Move]:
    """Beginnings and ends of the source's slices: what is cut out of a middle leaves two."""
    for lo, hi in balance.slices_of(source):
        loads = balance.loads[lo : hi + 1]
        for size in _sizes(list(accumulate(loads)), wanted):
            yield Move(lo=lo, hi=lo + size - 1, source=source, target=target, load=sum(loads[:size]))
        for size in _sizes(list(accumulate(reversed(loads))), wanted):
            yield Move(lo=hi - size + 1, hi=hi, source=source, target=target, load=sum(loads[-size:]))


def _sizes(sums: Sequence[float], wanted: float) -> Iterator[int]:
    """How many buckets come closest to what is wanted: the last that stays below, the first that does not."""
    below = sum(1 for total in sums if total <= wanted)
    yield from (size for size in (below, below + 1) if 1 <= size <= len(sums))


def _joins(balance: Balance, move: Move) -> bool:
    beside = [bucket for bucket in (move.lo - 1, move.hi + 1) if 0 <= bucket < BUCKETS]
    return any(balance.owners[bucket] == move.target for bucket in beside)


def _narrowed(move: Move, loads: Sequence[float]) -> Iterator[Move]:
    for lo in range(move.lo, move.hi + 1, WIDEST):
        hi = min(lo + WIDEST - 1, move.hi)
        load = sum(loads[lo : hi + 1])
        yield Move(lo=lo, hi=hi, source=move.source, target=move.target, load=load)


def spread(total: float, rows: Mapping[int, float], owned: Sequence[int]) -> dict[int, float]:
    """``total`` of a shard over the buckets that it owns, as its rows lie; evenly where it has none."""
    inside = sum(rows.get(bucket, 0.0) for bucket in owned)
    if not inside:
        return {bucket: total / len(owned) for bucket in owned}
    return {bucket: total * rows.get(bucket, 0.0) / inside for bucket in owned}
