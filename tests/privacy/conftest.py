"""What stories of personal data begin with."""

from collections.abc import Callable

import pytest

from contexts.ordering.tests.books import Books, settle_everything
from shop.gateway.revocation import deny_list
from shop.invariants.registry import declared
from shop.invariants.runner import Runner
from shop.sharding import hosted_contexts
from tests.privacy.people import Desk
from tests.security.conftest import connections_stay_open  # noqa: F401  a fixture, for all tests here


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def settle(deliver_events: Callable[[], None]) -> Callable[[], None]:
    """Let everything happen that follows: events, money, what every server knows of ended sign-ins."""

    def settle_all() -> None:
        deliver_events()
        settle_everything()
        deliver_events()
        for context in hosted_contexts():
            deny_list.look(context)

    return settle_all


@pytest.fixture
def invariants() -> Callable[[], list[str]]:
    """What is broken of all that must hold; of the provider's books, which outlive a test, what this one wrote."""
    books = Books()

    def broken() -> list[str]:
        runner = Runner(away={}, told=lambda *_: None, sleep=lambda _: None)
        wanted = [each for each in declared() if each.name != "fake_provider"]
        verdicts = runner.run(wanted, settle_seconds=0, wait_seconds=0)
        assert sum(verdict.checked for verdict in verdicts) > 0
        found = [(verdict.invariant.name, finding) for verdict in verdicts for finding in verdict.findings]
        return [f"{name}: {each.ids}: {each.detail}" for name, each in found] + books.differences()

    return broken
