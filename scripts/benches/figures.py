"""From samples to figures: medians, ratios within one round, and what the budgets say. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scripts.benches.measuring import Sample
from scripts.benches.rounds import Run

type Pick = Callable[[Sample], float | None]
type Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Medians over the rounds of one case on one subject; see `Sample`."""

    case: str
    subject: str
    rate: float
    p50_ms: float | None
    p99_ms: float | None
    server_cpu_us: float | None
    database_cpu_us: float | None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of the scoreboard.

    Attributes:
        value: The median of the rounds.
        low: The least of the rounds; ``high`` the most.
        budget: What it has to be; None where nothing was promised.
        at_least: Whether more is better.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str = ""
    budget: float | None = None
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the budget holds, where there is one."""
        if self.budget is None:
            return True
        return self.value >= self.budget if self.at_least else self.value <= self.budget

    @property
    def missed_by(self) -> float:
        """How far it is from the budget, as a share of that; 0 where the budget holds."""
        return 0.0 if self.met or self.budget is None else abs(self.value / self.budget - 1)


def _rate(sample: Sample) -> float | None:
    return sample.rate


def _server_cpu(sample: Sample) -> float | None:
    return sample.server_cpu_us


def _all_cpu(sample: Sample) -> float | None:
    if sample.server_cpu_us is None or sample.database_cpu_us is None:
        return None
    return sample.server_cpu_us + sample.database_cpu_us


SHOP, BARE, PEER, BOUND = "shop", "bare", "fastapi", "pgbench"
PROMISED: tuple[tuple[str, Place, Place, Pick, float, bool], ...] = (
    ("GET order ÷ FastAPI", ("order", SHOP), ("order", PEER), _rate, 1.0, True),
    ("GET product ÷ FastAPI", ("product", SHOP), ("product", PEER), _rate, 0.8, True),
    ("place order ÷ FastAPI, same SQL", ("place", SHOP), ("place", PEER), _rate, 0.75, True),
    ("place order ÷ pgbench", ("place", SHOP), ("place", BOUND), _rate, 0.2, True),
    ("CPU of GET order ÷ without middlewares", ("order", SHOP), ("order", BARE), _server_cpu, 1.5, False),
    ("login ÷ bare Argon2id", ("login", SHOP), ("login", "argon2"), _rate, 0.9, True),
)
"""Name, what, by what, which figure of both, budget, whether that is the least: from the design's performance page."""
WORKER_MB, SECOND_START_SECONDS = 75.0, 5.0
TOLD: tuple[tuple[str, Place, Place, Pick], ...] = (
    ("CPU of GET order ÷ FastAPI", ("order", SHOP), ("order", PEER), _server_cpu),
    ("CPU of GET product ÷ FastAPI", ("product", SHOP), ("product", PEER), _server_cpu),
    ("CPU of place order ÷ FastAPI", ("place", SHOP), ("place", PEER), _server_cpu),
    ("CPU with database of place order ÷ FastAPI", ("place", SHOP), ("place", PEER), _all_cpu),
    ("CPU of login ÷ bare Argon2id", ("login", SHOP), ("login", "argon2"), _server_cpu),
    ("GET order ÷ pgbench", ("order", SHOP), ("order", BOUND), _rate),
    ("GET product ÷ pgbench", ("product", SHOP), ("product", BOUND), _rate),
    ("GET order ÷ empty view", ("order", SHOP), ("empty", SHOP), _rate),
    ("GET product ÷ empty view", ("product", SHOP), ("empty", SHOP), _rate),
    ("list of products ÷ empty view", ("products", SHOP), ("empty", SHOP), _rate),
    ("place order ÷ empty view", ("place", SHOP), ("empty", SHOP), _rate),
    ("login ÷ empty view", ("login", SHOP), ("empty", SHOP), _rate),
)


def measured(run: Run) -> list[Measured]:
    """Every case on every subject."""
    everything = [sample for samples in run.rounds for sample in samples] + run.journeys
    groups: dict[Place, list[Sample]] = {}
    for sample in everything:
        groups.setdefault((sample.case, sample.subject), []).append(sample)
    return [
        Measured(
            case=case,
            subject=subject,
            rate=median(sample.rate for sample in group),
            p50_ms=_median(sample.p50_ms for sample in group),
            p99_ms=_median(sample.p99_ms for sample in group),
            server_cpu_us=_median(sample.server_cpu_us for sample in group),
            database_cpu_us=_median(sample.database_cpu_us for sample in group),
        )
        for (case, subject), group in groups.items()
    ]


def figures(run: Run) -> list[Figure]:
    """The scoreboard: what was promised first."""
    found = [
        _ratio(run, name, what, by, pick, budget=budget, at_least=at_least)
        for name, what, by, pick, budget, at_least in PROMISED
    ]
    found.append(_most_mb("memory of a worker's own", run.workers_own_mb, WORKER_MB))
    found.append(_most_mb("memory of a worker with what it shares", run.workers_resident_mb, None))
    found.append(_seconds("second start", run.second_start, SECOND_START_SECONDS))
    found.append(_seconds("first start, with the demo shop", run.first_start, None))
    return found + [_ratio(run, *told) for told in TOLD if told[-1] is not _all_cpu or _databases_are_here(run)]


def _databases_are_here(run: Run) -> bool:
    """Whether the CPU time of PostgreSQL could be told: it is on another machine else."""
    samples = (each for samples in run.rounds for each in samples if each.subject in (SHOP, PEER))
    return all(each.database_cpu_us is not None for each in samples)


def _seconds(name: str, value: float, budget: float | None) -> Figure:
    return Figure(name=name, value=value, low=value, high=value, unit="s", budget=budget, at_least=False)


def _most_mb(name: str, values: Sequence[float], budget: float | None) -> Figure:
    most = max(values)
    return Figure(name=name, value=most, low=min(values), high=most, unit="MB", budget=budget, at_least=False)


def _ratio(
    run: Run, name: str, what: Place, by: Place, pick: Pick, *, budget: float | None = None, at_least: bool = True
) -> Figure:
    """The median of the rounds' ratios: what disturbs a round disturbs both sides of it."""
    ratios = [_of(samples, what, pick) / _of(samples, by, pick) for samples in run.rounds]
    return Figure(name=name, value=median(ratios), low=min(ratios), high=max(ratios), budget=budget, at_least=at_least)


def _of(samples: Sequence[Sample], place: Place, pick: Pick) -> float:
    [sample] = [each for each in samples if (each.case, each.subject) == place]
    value = pick(sample)
    if not value:
        raise ValueError(f"nothing was measured of {place}")
    return value


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
