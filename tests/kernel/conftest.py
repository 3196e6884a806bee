"""What the kernel's tests share: probe tables, and threads and processes that leave nothing behind."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import pytest
from django.db import connections

from shop.events import duty
from shop.services.transport.http import breaker
from shop.sharding import scatter
from tests.kernel import probes


@pytest.fixture(scope="session")
def _probe_tables(django_db_setup, django_db_blocker) -> None:
    with django_db_blocker.unblock():
        probes.make_tables()
        connections.close_all()


@pytest.fixture
def probe_tables(_probe_tables, request: pytest.FixtureRequest) -> Iterator[None]:
    """The tables of `probes`, empty again afterwards even where the test commits."""
    marker = request.node.get_closest_marker("django_db")
    request.getfixturevalue("transactional_db" if marker and marker.kwargs.get("transaction") else "db")
    yield
    if marker and marker.kwargs.get("transaction"):
        probes.empty_tables()


@pytest.fixture(autouse=True)
def no_duty_held() -> Iterator[None]:
    """No test inherits a duty that another one's database knew."""
    duty._held.clear()
    yield
    duty._held.clear()


@pytest.fixture(autouse=True)
def scatter_threads_closed() -> Iterator[None]:
    """Let the threads of `across()` end what a test left to them: a test database with a guest can't be dropped."""
    yield
    scatter.leave_lanes()


@pytest.fixture
def in_threads() -> Callable[..., list[object]]:
    """Run functions at once, each in a thread with connections of its own; their results, or the first error."""

    def run(*works: Callable[[], object]) -> list[object]:
        together = Barrier(len(works))

        def one(work: Callable[[], object]) -> object:
            try:
                together.wait(10)
                return work()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(works)) as pool:
            return [done.result(60) for done in [pool.submit(one, work) for work in works]]

    return run


@pytest.fixture
def breaker_rests(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and what the breaker waits for is over. Its time passes by this alone, not by a slow test's own."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def rest() -> None:
        clock.now += breaker.OPEN_SECONDS

    return rest
