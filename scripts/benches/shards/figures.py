"""From samples to figures: what guard, fence and routing cost, and what more shards do. Pure."""

from collections.abc import Iterable, Iterator
from statistics import median

from scripts.benches.figures import Figure
from scripts.benches.measuring import Sample
from scripts.benches.shards.stand import OnShards

type Found = dict[int, OnShards]

SHARE: float = 0.05
FLAT: float = 1.15
ACROSS: float = 2.0
"""Budgets: of a request's CPU time, of the same on one shard, of the slowest shard's time."""


def _cost(sample: Sample, at_rest: float) -> float:
    return (sample.server_cpu_us or 0.0) + (sample.database_cpu_us or 0.0) - at_rest / sample.rate * 1e6


def costs(on: OnShards, case: str) -> list[float]:
    """What a request costs in each round, servers and PostgreSQL, beyond what they do at rest: µs of CPU time."""
    return [_cost(samples[case], rest) for samples, rest in zip(on.rounds, on.at_rest, strict=True)]


def figures(found: Found) -> list[Figure]:
    """The scoreboard: what was promised first."""
    return [*_promised(found), *_told(found)]


def _promised(found: Found) -> Iterator[Figure]:
    least, most = min(found), max(found)
    for count, each in found.items():
        yield _figure(f"routing + guard and fence ÷ placing an order, {_on(count)}", _protection(each), SHARE)
    for count, each in found.items():
        yield _figure(f"routing ÷ GET order, {_on(count)}", _routing(each, "order"), SHARE)
    for case, name in (("order", "GET order"), ("place", "place order, lines on one shard")):
        for count in sorted(found)[1:]:
            values = _ratios(costs(found[count], case), costs(found[least], case))
            yield _figure(f"CPU of {name}: {_on(count)} ÷ {_on(least)}", values, FLAT)
    pairs = found[most].told["across_work"]
    name = f"across {_on(most)}, each at work for 20 ms ÷ the slowest"
    yield _figure(name, [everywhere / slowest for everywhere, slowest in pairs], ACROSS)


def _told(found: Found) -> Iterator[Figure]:
    for count, each in found.items():
        name = f"across {_on(count)}, nothing but their answers ÷ the slowest"
        yield _figure(name, [everywhere / slowest for everywhere, slowest in each.told["across"]])
    for count, each in found.items():
        name = f"place order, baskets of real invoices ÷ lines on one shard, {_on(count)}"
        yield _figure(name, _ratios(costs(each, "spread"), costs(each, "place")))


def _on(count: int) -> str:
    return f"{count} shard" if count == 1 else f"{count} shards"


def _figure(name: str, values: list[float], budget: float | None = None) -> Figure:
    return Figure(name=name, value=median(values), low=min(values), high=max(values), budget=budget, at_least=False)


def _protection(on: OnShards) -> list[float]:
    shares = _ratios(on.told["protection_us"], costs(on, "place"))
    return [share + routing for share, routing in zip(shares, _routing(on, "place"), strict=True)]


def _routing(on: OnShards, case: str) -> list[float]:
    spent = on.told["lookups"][case] * on.told["lookup_us"]
    return [spent / cost for cost in costs(on, case)]


def _ratios(these: Iterable[float], those: Iterable[float]) -> list[float]:
    return [one / other for one, other in zip(these, those, strict=True)]
