"""From rounds to figures: events per second, and how long they take from commit to commit. Pure."""

from collections.abc import Iterator
from statistics import median, quantiles

from scripts.benches.events.stand import RATE, Found, Round
from scripts.benches.figures import Figure

PROMISED_OF = "RabbitMQ"
"""What the budgets are for; another broker is told beside it."""
RELAY, HANDLED, P50_MS, P99_MS = 18_000.0, 10_000.0, 10.0, 50.0
"""Budgets, from the design's performance page."""


def figures(found: Found) -> list[Figure]:
    """The scoreboard: what was promised first."""
    promised = [figure for name, at in found.items() for figure in _of(name, at.rounds)]
    return sorted(promised, key=lambda figure: figure.budget is None)


def _of(name: str, rounds: list[Round]) -> Iterator[Figure]:
    promised = name == PROMISED_OF
    relay, handled, with_row = zip(*((each.relay, each.handled, each.with_row) for each in rounds), strict=True)
    for what, flows, budget in (
        ("handed over, a confirm for each batch", relay, RELAY if promised else None),
        ("handed over and handled once", handled, HANDLED if promised else None),
        ("handed over and handled once, each with a row", with_row, None),
    ):
        yield _figure(f"{name}: {what}", "/s", [flow.rate for flow in flows], budget, at_least=True)
    hundredths = [quantiles(each.latencies, n=100) for each in rounds]
    for what, place, budget in (("p50", 49, P50_MS), ("p99", 98, P99_MS)):
        values = [each[place] for each in hundredths]
        name_of = f"{name}: from commit to handled at {RATE}/s, {what}"
        yield _figure(name_of, "ms", values, budget if promised else None, at_least=False)


def _figure(name: str, unit: str, values: list[float], budget: float | None, *, at_least: bool) -> Figure:
    low, high = min(values), max(values)
    return Figure(name=name, value=median(values), low=low, high=high, unit=unit, budget=budget, at_least=at_least)
