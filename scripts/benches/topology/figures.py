"""From rounds to figures: what a call, a hop and a gateway cost. Pure."""

from statistics import median

from scripts.benches.figures import Figure
from scripts.benches.topology.stand import Found

LOCAL_US, HTTP_TIMES, GATEWAY_SHARE = 2.0, 1.3, 0.4
"""Budgets, from the design's pages on contracts and performance."""


def figures(found: Found) -> list[Figure]:
    """The scoreboard: what was promised first."""
    calls = found.calls
    over = [local - plain for local, plain in zip(calls["local"], calls["plain"], strict=True)]
    times = [http / bare for http, bare in zip(calls["http"], calls["bare"], strict=True)]
    return [
        _figure("local call, over a plain one", over, "µs", LOCAL_US, at_least=False),
        _figure("HTTP call ÷ bare keep-alive request", times, "", HTTP_TIMES, at_least=False),
        _rates(found, "GET product: gateway ÷ direct", "product on gateway", "product on direct", GATEWAY_SHARE),
        _rates(found, "place order: gateway ÷ direct", "place on gateway", "place on direct"),
        _rates(found, "GET product: apart, by the gateway ÷ together", "product on gateway", "product on together"),
        _rates(found, "place order: apart, by the gateway ÷ together", "place on gateway", "place on together"),
        _rates(found, "place order: apart, direct ÷ together", "place on direct", "place on together"),
        _figure("HTTP call", calls["http"], "µs", None, at_least=False),
        _figure("bare keep-alive request", calls["bare"], "µs", None, at_least=False),
    ]


def _rates(found: Found, name: str, what: str, by: str, budget: float | None = None) -> Figure:
    ratios = [each[what].rate / each[by].rate for each in found.rounds]
    return _figure(name, ratios, "", budget, at_least=True)


def _figure(name: str, values: list[float], unit: str, budget: float | None, *, at_least: bool) -> Figure:
    low, high = min(values), max(values)
    return Figure(name=name, value=median(values), low=low, high=high, unit=unit, budget=budget, at_least=at_least)
