"""Chores that come round: sweepers and reconcilers, declared with `@every` in the contexts' `tasks`."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from shop.events.away import is_away
from shop.events.duty import on_duty
from shop.observability.trace import traced
from shop.services import acting_as
from shop.sharding import home_of

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Job:
    """A function that runs every ``seconds`` in one process at a time. Each run starts from what is stored.

    Attributes:
        at_once: It also runs when `wake_jobs` is called in the process that runs it.
        slow: It waits for somebody outside, so it has a thread apart: the others of its context go on meanwhile.
    """

    name: str
    context: str
    seconds: float
    run: Callable[[], object]
    at_once: bool = False
    slow: bool = False
    next_at: float = field(default_factory=time.monotonic)


_jobs: dict[str, Job] = {}


def every(*, seconds: float, at_once: bool = False) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Run a function of a context's `tasks` module every ``seconds``; with ``at_once`` also when it is woken."""

    def register(function: Callable[[], object]) -> Callable[[], object]:
        chore(function.__module__.split(".")[1], function.__name__, seconds, function, at_once=at_once)
        return function

    return register


def chore(
    context: str, name: str, seconds: float, run: Callable[[], object], *, at_once: bool = False, slow: bool = False
) -> None:
    """Declare a job of ``context`` that is no function of its `tasks`: the kernel's own."""
    full = f"{context}.{name}"
    _jobs[full] = Job(name=full, context=context, seconds=seconds, run=run, at_once=at_once, slow=slow)


def run_due_jobs(context: str, *, woken: bool = False, slow: bool = False) -> None:
    """Run the jobs of ``context``, slow or others, whose time has come or that were woken for, if nobody else does."""
    for job in jobs_of(context):
        if job.slow is not slow or (job.next_at > time.monotonic() and not (woken and job.at_once)):
            continue
        job.next_at = time.monotonic() + job.seconds
        if on_duty(home_of(context), f"job:{job.name}"):
            run_job(job)


def run_job(job: Job) -> bool:
    """Run one job now; its failure is logged and told."""
    with traced(), acting_as(job.context):
        try:
            job.run()
        except Exception as error:
            if is_away(error):
                log.warning("job_put_off", job=job.name, error=type(error).__name__)
            else:
                log.exception("job_failed", job=job.name)
            return False
    return True


def one_by_one[T](items: Iterable[T], work: Callable[[T], int]) -> int:
    """Work on every item, though some fail; returns the sum of what ``work`` returned.

    One row that can't be worked on would else hold up all behind it, round after round.

    Raises:
        Exception: The first failure, once every item has had its turn. The others are logged here.
    """
    done, first = 0, None
    for item in items:
        try:
            done += work(item)
        except Exception as error:
            if first is None:
                first = error
            elif is_away(error):
                log.warning("job_item_put_off", error=type(error).__name__)
            else:
                log.exception("job_item_failed")
    if first is not None:
        raise first
    return done


def jobs_of(context: str) -> list[Job]:
    """The jobs of ``context`` in this process."""
    return [job for job in _jobs.values() if job.context == context]
