"""pytest's plugin for the whole suite: databases by place, the SQL fence, callers, delivery of events."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.shards import MARK, reason_to_leave_out, summary

if TYPE_CHECKING:  # loaded before Django is set up: what needs it is imported where it is used
    from shop.contract import Principal
    from tests.sql_fence import SqlFence

ROOT = Path(__file__).resolve().parent.parent
NO_DATABASE = {"test_domain.py"}
LEFT_OUT = pytest.StashKey[list[str]]()


def context_of_test(item: pytest.Item) -> str | None:
    """Context whose folder holds the test."""
    place = Path(item.path)
    parts = place.relative_to(ROOT).parts if place.is_relative_to(ROOT) else ("",)
    return parts[1] if parts[0] == "contexts" else None


@pytest.hookimpl(trylast=True)  # behind -m and -k: only what would have run is left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A context's tests get its own databases and no other; `test_domain` gets none. Too few shards: left out."""
    from django.conf import settings

    for item in items:
        context = context_of_test(item)
        if context and item.path.name not in NO_DATABASE and not item.get_closest_marker("django_db"):
            aliases = [alias for alias in settings.DATABASES if alias.rpartition("_")[0] == context]
            item.add_marker(pytest.mark.django_db(databases=aliases))
    left_out = {item: reason for item in items if (reason := reason_to_leave_out(item))}
    config.stash[LEFT_OUT] = list(left_out.values())
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what this number of shards can't tell."""
    left_out: list[str] = config.stash.get(LEFT_OUT, [])
    for line in summary(left_out):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def report_names_what_is_left_out(request: pytest.FixtureRequest, record_testsuite_property: Any) -> None:
    """For the totals of `scripts/test`."""
    record_testsuite_property(MARK, len(request.config.stash[LEFT_OUT]))


def pytest_configure() -> None:
    """A run that is told to end drops its databases first, like one that is interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """The run's files go with it."""
    from config.testing import PLACE

    shutil.rmtree(PLACE, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def databases_first(request: pytest.FixtureRequest) -> None:
    """Make the databases before the first test's fence goes up, which would take it for the one who makes them."""
    from django.conf import settings

    from shop.sharding.postgresql.base import FOR_LOST_CLIENTS
    from tests.steady import believe_no_outage_of_the_suites_server

    settings.DATABASE_CONNECTIONS = 90  # a race has more threads than any server

    # The transaction around a test stands idle while the test does other things, on a busy machine for long.
    FOR_LOST_CLIENTS["idle_in_transaction_session_timeout"] = "0"
    believe_no_outage_of_the_suites_server()
    if any(item.get_closest_marker("django_db") for item in request.session.items):
        request.getfixturevalue("django_db_setup")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """No test inherits what broke off in another one's middle."""
    from tests.steady import undo_what_broke_off

    try:
        yield
    finally:
        undo_what_broke_off()


@pytest.fixture(autouse=True)
def nobody_has_come_too_often() -> None:
    """No test inherits what another one was counted for."""
    from shop.http.limits import limits

    limits.cache_clear()


@pytest.fixture(autouse=True)
def sql_fence(request: pytest.FixtureRequest) -> "Iterator[SqlFence]":
    """Fails a test that touches another context's tables."""
    from tests.sql_fence import SqlFence

    fence = SqlFence(context_of_test(request.node))
    with fence.watching():
        yield fence
    if fence.violations:
        pytest.fail("\n".join(fence.violations[:5]))


@pytest.fixture(scope="session")
def known_document() -> None:
    """Make the document before any test puts another route table in the place of ours."""
    from tests.documented import document

    document()


@pytest.fixture(autouse=True)
def undocumented_answers(known_document: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fails a test in which an operation answered what the API's document does not know."""
    from django.core.handlers.base import BaseHandler

    from tests.documented import undocumented

    found: list[str] = []
    answer_to: Callable[..., Any] = BaseHandler.get_response

    def answer_and_check(handler: BaseHandler, request: Any) -> Any:
        method, path = request.method, request.path
        answer = answer_to(handler, request)
        if not answer.streaming:
            found.extend(undocumented(method, path, answer.status_code, answer.headers, answer.content))
        return answer

    monkeypatch.setattr(BaseHandler, "get_response", answer_and_check)
    yield found
    if found:
        pytest.fail("\n".join(found[:5]))


@pytest.fixture(autouse=True)
def no_connection_stays_in_threads_of_across(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads outlive the tests, and PostgreSQL drops no database that somebody is connected to."""
    from django.db import connections

    from shop.sharding import scatter

    ask_and_keep: Callable[..., Any] = scatter._in_thread

    def ask_and_close(*asked: Any) -> Any:
        try:
            return ask_and_keep(*asked)
        finally:
            connections.close_all()

    monkeypatch.setattr(scatter, "_in_thread", ask_and_close)


@pytest.fixture
def deliver_events() -> Callable[[], None]:
    """Relay and retry on every shard until nothing is due."""
    from shop.events.relay import drain
    from shop.sharding.readiness import all_aliases

    def deliver() -> None:
        assert drain(all_aliases(), rounds=50)

    return deliver


@pytest.fixture
def customer() -> "Principal":
    """A signed-in customer on some shard."""
    return make_principal("customer")


def make_principal(role: Any = "customer", *roles: str, bucket: int | None = None) -> "Principal":
    """A principal that no account stands behind: contexts trust the token, not a table."""
    from shop.contract import Principal
    from shop.sharding.ids import compose, random_bucket

    number = compose(bucket=random_bucket() if bucket is None else bucket, tick=next(_ticks), worker=1023)
    return Principal(id=str(number), role=role, roles=roles, session_id="test")


def bearer(principal: "Principal") -> dict[str, str]:
    """Headers for Django's test client. Not for parameters: a token lives for five minutes, the suite for longer."""
    if "PYTEST_CURRENT_TEST" not in os.environ:
        raise RuntimeError("a token is minted when the test runs, not when it is collected")
    from shop.gateway.tokens import mint

    return {"HTTP_AUTHORIZATION": f"Bearer {mint(principal)}"}


_ticks = iter(range(1_000_000, 2_000_000))
