"""Calls between contexts: one pipeline, the same values and the same errors on every transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from itertools import count

import pytest
from django.db import OperationalError

from shop.contract import (
    CommandKeyReusedError,
    ConflictError,
    ContextError,
    DeadlineExceeded,
    Fault,
    InvalidError,
    Money,
    NotAuthorized,
    NotFoundError,
    OutcomeUnknown,
    RemoteFault,
    Service,
    ServiceUnavailable,
    UnavailableError,
    atomic,
    query,
    saga,
)
from shop.events import publishing
from shop.services import acting_as, acting_context, deadline, remaining_seconds, resolve, substitute
from shop.services.models import Outcome
from shop.services.pipeline import CallInsideTransaction
from shop.sharding import ShardUnavailable, current_scope, home_atomic, key_of_bucket, new_id, shard_atomic
from tests.contract.transports import MAKERS, travelling
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, Parcel, parcel_in

COMMITTING = pytest.mark.django_db(databases=ALIASES, transaction=True)
pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


class Size(Enum):
    SMALL = "small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One value of every kind."""

    size: Size
    price: Money
    weight: Decimal
    on: date
    at: datetime
    words: tuple[str, ...]
    counts: Mapping[str, int]
    tags: frozenset[str]
    big: int
    maybe: "Box | None" = None


@dataclass(eq=False, kw_only=True)
class TooHeavyError(ConflictError):
    """With data of its own."""

    code = "too_heavy"
    limit: int = 0
    boxes: tuple[Box, ...] = ()


class FragileError(TooHeavyError):
    """A subclass that the contract does not name."""

    code = "fragile"


class Depot(Service):
    """A contract with one method of each kind."""

    context = "catalog"

    @query(callers=("ordering",), max_batch=3, timeout_seconds=1.0)
    def echo(self, *, box: Box, ids: Sequence[str] = ()) -> tuple[Box, ...]:
        """Give back."""
        raise NotImplementedError

    @query(callers=("ordering", "catalog"), errors=(TooHeavyError,))
    def fail(self, *, how: str) -> int:
        """Raise."""
        raise NotImplementedError

    @query(callers=("ordering",), timeout_seconds=30.0)
    def nested(self, *, how: str) -> int:
        """Call on."""
        raise NotImplementedError

    @saga(key="key", callers=("ordering",))
    def many(self, *, key: str) -> str:
        """Touch both shards."""
        raise NotImplementedError

    @atomic(shard_key="parcel_id", key="key", callers=("ordering", "auth"), errors=(TooHeavyError, NotFoundError))
    def add(self, *, parcel_id: str, grams: int, key: str, how: str = "") -> Box:
        """Add weight."""
        raise NotImplementedError


BOX = Box(
    size=Size.SMALL,
    price=Money(amount=1299, currency="EUR"),
    weight=Decimal("1.500"),
    on=date(2026, 2, 28),
    at=datetime(2026, 2, 28, 12, 30, 1, 123456, tzinfo=UTC),
    words=("a", "ü", ""),
    counts={"x": 1, "": 2},
    tags=frozenset({"new"}),
    big=2**63 - 1,
)
RAISED = {
    "declared": lambda: TooHeavyError(
        detail="by far", limit=5, boxes=(BOX,), faults=(Fault(field="a", code="b", detail="c"),)
    ),
    "undeclared": lambda: NotFoundError(detail="of no contract"),
    "subclass": lambda: FragileError(limit=5),
    "unavailable": lambda: UnavailableError(detail="later"),
    "unknown": lambda: OutcomeUnknown(detail="who knows"),
    "shard": lambda: ShardUnavailable(detail="catalog_1"),
    "database": lambda: OperationalError("locked"),
    "bug": lambda: ZeroDivisionError("oops, secret"),
    "invalid": lambda: InvalidError(detail="not declared"),
}


class Depots(Depot):
    """The implementation."""

    def __init__(self) -> None:
        self.calls = count(1)
        self.seen: list[object] = []

    def echo(self, *, box: Box, ids: Sequence[str] = ()) -> tuple[Box, ...]:
        self.seen.append((acting_context(), remaining_seconds()))
        return (box, box)

    def fail(self, *, how: str) -> int:
        raise RAISED[how]()

    def nested(self, *, how: str) -> int:
        self.seen.append(remaining_seconds())
        return resolve(Depot).fail(how=how)

    def many(self, *, key: str) -> str:
        for bucket in (LEFT, RIGHT):
            with shard_atomic(CONTEXT, key_of_bucket(bucket)):
                pass
        return f"{key}:{next(self.calls)}"

    def add(self, *, parcel_id: str, grams: int, key: str, how: str = "") -> Box:
        self.seen.append(current_scope())
        parcel = Parcel.objects.select_for_update().get(id=int(parcel_id))
        parcel.weight += grams
        parcel.save()
        if how:
            raise RAISED[how]()
        return Box(**{f: getattr(BOX, f) for f in BOX.__slots__} | {"big": parcel.weight})


@pytest.fixture(params=MAKERS)
def transport(request, settings):
    with travelling(request.param, settings):
        yield


@pytest.fixture
def depots(transport):
    with substitute(Depot, Depots()) as provider:
        yield provider


@pytest.fixture
def depot(depots):
    """The service as ordering sees it."""
    with acting_as("ordering"):
        yield resolve(Depot)


def test_every_kind_of_value_arrives_equal(depot):
    assert depot.echo(box=BOX) == (BOX, BOX)


def test_the_callee_acts_as_its_own_context_within_the_time_of_its_contract(depot, depots):
    depot.echo(box=BOX)
    [(acting, left)] = depots.seen
    assert acting == "catalog"
    assert 0 < left <= 1.0
    assert acting_context() == "ordering"


def test_a_declared_error_keeps_its_class_and_its_data(depot):
    with pytest.raises(TooHeavyError) as caught:
        depot.fail(how="declared")
    error = caught.value
    assert type(error) is TooHeavyError
    assert (error.detail, error.limit, error.boxes) == ("by far", 5, (BOX,))
    assert error.faults == (Fault(field="a", code="b", detail="c"),)


SEEN_AS = {
    "undeclared": RemoteFault,
    "subclass": RemoteFault,
    "invalid": RemoteFault,
    "bug": RemoteFault,
    "unavailable": UnavailableError,
    "unknown": OutcomeUnknown,
    "shard": UnavailableError,
    "database": UnavailableError,
}


@pytest.mark.parametrize(("how", "kind"), SEEN_AS.items(), ids=SEEN_AS)
def test_any_other_error_is_the_same_class_on_every_transport(depot, how, kind):
    with pytest.raises(ContextError) as caught:
        depot.fail(how=how)
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("enter", [lambda: shard_atomic(CONTEXT, key_of_bucket(RIGHT)), lambda: home_atomic(CONTEXT)])
def test_no_call_within_a_transaction(depot, depots, enter):
    with enter(), pytest.raises(CallInsideTransaction):
        depot.echo(box=BOX)
    assert depots.seen == []


def test_the_test_cases_own_transaction_is_none(depot):
    """This very test runs within one."""
    assert depot.echo(box=BOX)


def test_a_caller_that_the_contract_does_not_name_is_refused(depots):
    for caller in ("auth", ""):
        with acting_as(caller), pytest.raises(NotAuthorized):
            resolve(Depot).echo(box=BOX)
    assert depots.seen == []


def test_a_switched_off_method_is_unavailable_and_the_others_are_not(depot, depots, settings):
    settings.SERVICE_KILL_SWITCH = frozenset({"catalog.echo"})
    with pytest.raises(ServiceUnavailable):
        depot.echo(box=BOX)
    assert (depots.seen, depot.many(key="k")) == ([], "k:1")


def test_no_time_left_is_no_call(depot, depots):
    with deadline(0.0), pytest.raises(DeadlineExceeded):
        depot.echo(box=BOX)
    assert depots.seen == []


def test_the_callers_deadline_shrinks_the_callees(depot, depots):
    with deadline(0.5):
        depot.echo(box=BOX)
        with deadline(60):
            depot.echo(box=BOX)
    assert all(0 < left <= 0.5 for _, left in depots.seen)


def test_a_call_within_a_call_has_the_outer_ones_time(depot, depots):
    with deadline(5), pytest.raises(RemoteFault):
        depot.nested(how="undeclared")
    assert 4 < depots.seen[0] <= 5


def test_more_than_a_batch_is_refused(depot, depots):
    assert depot.echo(box=BOX, ids=("1", "2", "3"))
    with pytest.raises(InvalidError, match="at most 3"):
        depot.echo(box=BOX, ids=("1", "2", "3", "4"))
    assert len(depots.seen) == 1


def test_a_context_that_is_nowhere_is_unavailable(transport):
    with acting_as("ordering"), pytest.raises(ServiceUnavailable):
        resolve(Depot).echo(box=BOX)


def test_positional_arguments_are_no_call(depot):
    with pytest.raises(TypeError):
        depot.many("k")  # type: ignore[misc]  # the point


# ---- atomic commands -----------------------------------------------------------------------------------------


def weight_of(parcel):
    with acting_as(CONTEXT):
        return Parcel.objects.get(pk=parcel.pk).weight


def outcomes():
    return sum(Outcome.objects.using(alias).count() for alias in ALIASES)


@pytest.fixture(params=[LEFT, RIGHT])
def parcel(request):
    with acting_as(CONTEXT):
        return parcel_in(request.param)


def test_a_command_runs_in_a_transaction_on_the_shard_of_its_key(depot, depots, parcel):
    assert depot.add(parcel_id=str(parcel.pk), grams=5, key="k").big == 5
    assert [scope.alias for scope in depots.seen] == [parcel._state.db]
    assert Outcome.objects.using(parcel._state.db).get().method == "catalog.add"


def test_a_repeated_command_gives_its_first_outcome_and_no_second_effect(depot, depots, parcel):
    answers = [depot.add(parcel_id=str(parcel.pk), grams=5, key="k") for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert (weight_of(parcel), len(depots.seen), outcomes()) == (5, 1, 1)


def test_another_key_is_another_command(depot, parcel):
    for key in ("k", "l"):
        depot.add(parcel_id=str(parcel.pk), grams=5, key=key)
    assert (weight_of(parcel), outcomes()) == (10, 2)


def test_the_same_key_of_another_caller_is_another_command(depot, parcel):
    depot.add(parcel_id=str(parcel.pk), grams=5, key="k")
    with acting_as("auth"):
        depot.add(parcel_id=str(parcel.pk), grams=5, key="k")
    assert weight_of(parcel) == 10


def test_the_same_key_with_other_arguments_is_refused(depot, parcel):
    depot.add(parcel_id=str(parcel.pk), grams=5, key="k")
    with pytest.raises(CommandKeyReusedError) as caught:
        depot.add(parcel_id=str(parcel.pk), grams=6, key="k")
    assert type(caught.value) is CommandKeyReusedError
    assert weight_of(parcel) == 5


def test_a_declared_error_undoes_the_effect_and_is_the_outcome(depot, depots, parcel):
    for _ in range(2):
        with pytest.raises(TooHeavyError) as caught:
            depot.add(parcel_id=str(parcel.pk), grams=5, key="k", how="declared")
        assert (caught.value.limit, caught.value.boxes) == (5, (BOX,))
    assert (weight_of(parcel), len(depots.seen), outcomes()) == (0, 1, 1)


@pytest.mark.parametrize("how", ["bug", "subclass", "invalid", "unavailable", "database"])
def test_any_other_error_undoes_everything_and_may_be_tried_again(depot, depots, parcel, how):
    for _ in range(2):
        with pytest.raises(SEEN_AS[how]):
            depot.add(parcel_id=str(parcel.pk), grams=5, key="k", how=how)
    assert (weight_of(parcel), len(depots.seen), outcomes()) == (0, 2, 0)


def test_events_of_a_command_that_failed_are_not_published(depot, parcel, monkeypatch):
    monkeypatch.setattr(Parcel, "save", lambda self, **o: publishing.OutboxEvent.objects.using(self._state.db).create(
        id=new_id(CONTEXT, near=self.pk), topic="t", key="k", shard_key=1, event_seq=1, payload={}, available_at=BOX.at
    ))  # fmt: skip
    with pytest.raises(TooHeavyError):
        depot.add(parcel_id=str(parcel.pk), grams=5, key="k", how="declared")
    assert not publishing.OutboxEvent.objects.using(parcel._state.db).exists()


@COMMITTING
def test_the_same_command_many_times_at_once_has_one_effect(depots, in_threads):
    parcel = parcel_in(RIGHT)

    def send():
        with acting_as("ordering"):
            return resolve(Depot).add(parcel_id=str(parcel.pk), grams=5, key="k")

    answers = in_threads(*[send] * 6)
    assert all(answer == answers[0] for answer in answers)
    assert (weight_of(parcel), outcomes()) == (5, 1)
