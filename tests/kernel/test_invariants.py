"""The machine that looks at invariants: again after a while, and only what is seen twice is told."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.db import ConnectionHandler, DataError, OperationalError, ProgrammingError

from shop.contract import RemoteFault, ServiceUnavailable
from shop.invariants import Check, Finding
from shop.invariants.runner import Runner, Unasked
from shop.invariants.words import Invariant
from shop.services import acting_context
from shop.services.pipeline import BatchTooLarge

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def no_connections(monkeypatch):
    """What other tests have left open is not looked after here: there are no databases."""
    monkeypatch.setattr("shop.invariants.runner.connections", ConnectionHandler({}))


@dataclass(frozen=True)
class Shelf:
    name: str
    rows: int = 10


@dataclass
class World:
    """Two shelves, what is found on them at each look, and what happens while somebody waits."""

    finds: dict[str, list[list[str] | Exception]]
    slept: list[float] = field(default_factory=list)
    told: list[tuple[str, str, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    under_way: Callable[[datetime], bool] | None = None

    def look(self, shelf: Shelf) -> list[Finding]:
        self.asked.append(f"{shelf.name} as {acting_context()}")
        looks = self.finds.get(shelf.name, [[]])
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return [Finding(ids=(each.split(":")[0],), detail=each) for each in found]

    def invariant(self) -> Invariant:
        check: Check[Any] = Check(
            places=lambda: ["left", "right"], parts=lambda place: iter([Shelf(place)]), look=self.look
        )
        return Invariant(name="3", title="cups are whole", context="catalog", checks=(check,), under_way=self.under_way)

    def run(self, *, settle: float = 5, wait: float = 0, away: dict[str, str] | None = None) -> Any:
        runner = Runner(away=away or {}, told=lambda *said: self.told.append(said), sleep=self.slept.append)
        [verdict] = runner.run([self.invariant()], settle_seconds=settle, wait_seconds=wait)
        return verdict


def ids(verdict):
    return [finding.ids[0] for finding in verdict.findings]


def test_where_nothing_is_found_nobody_waits():
    world = World({})
    verdict = world.run()
    assert (verdict.checked, verdict.findings, world.slept) == (20, [], [])
    assert world.asked == ["left as catalog", "right as catalog"]
    assert world.told == [("3", "left", 10), ("3", "right", 10)]


def test_what_is_gone_at_the_second_look_was_work_in_flight():
    world = World({"left": [["cup"], []]})
    assert (ids(world.run()), world.slept) == ([], [5])


def test_what_is_seen_twice_is_told_and_only_where_it_was_seen_is_looked_again():
    world = World({"left": [["cup", "jug"], ["jug"]]})
    assert ids(world.run()) == ["jug"]
    assert world.asked == ["left as catalog", "right as catalog", "left as catalog"]


def test_what_is_new_at_the_second_look_is_left_to_the_next_run():
    assert ids(World({"left": [["cup"], ["cup", "jug"]]}).run()) == ["cup"]


def test_a_place_that_is_away_is_said_and_the_others_are_looked_at():
    world = World({"right": [["cup"]]})
    verdict = world.run(away={"left": "another database is behind this URL"})
    assert verdict.unasked == [Unasked(place="left", reason="another database is behind this URL")]
    assert (ids(verdict), verdict.checked) == (["cup"], 10)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationalError("no route\nto host"), "OperationalError: no route"),
        (ServiceUnavailable(detail="catalog is not hosted by this process"), "catalog is not hosted by this process"),
    ],
)
def test_a_place_that_breaks_off_is_said(error, reason):
    verdict = World({"left": [error], "right": [["cup"]]}).run()
    assert verdict.unasked == [Unasked(place="left", reason=reason)]
    assert ids(verdict) == ["cup"]


def test_what_can_not_be_seen_again_is_neither_told_nor_clean():
    verdict = World({"left": [["cup"], OperationalError("gone")]}).run()
    assert (ids(verdict), [each.place for each in verdict.unasked]) == ([], ["left"])


@pytest.mark.parametrize(
    "bug",
    [
        ZeroDivisionError(),
        ProgrammingError("no such column"),
        DataError("out of range"),
        RemoteFault(detail="catalog met a bug"),
        BatchTooLarge(detail="201 of 200"),
    ],
    ids=lambda bug: type(bug).__name__,
)
@pytest.mark.parametrize("before", [[], [["cup"]]], ids=["at the first look", "at the second"])
def test_a_bug_is_not_taken_for_an_outage(bug, before):
    with pytest.raises(type(bug)):
        World({"left": [*before, bug]}).run()


def test_work_under_way_is_waited_for_and_may_put_it_right():
    # given a finding that holds as long as events are on their way
    states = iter([True, True, False])
    world = World({"left": [["cup"], ["cup"], ["cup"], ["cup"], []]}, under_way=lambda moment: next(states))
    # then it is looked at until they are through, and nothing is left of it
    assert (ids(world.run(wait=60)), world.slept) == ([], [5, 1, 1])


def test_nobody_waits_where_nothing_is_under_way():
    world = World({"left": [["cup"]]}, under_way=lambda moment: False)
    assert (ids(world.run(wait=60)), world.slept) == (["cup"], [5])


def test_what_is_still_changing_is_looked_at_until_it_stands():
    # given an order whose first event is through and has caused a second one
    looks = [["cup: held"], ["cup: held"], ["cup: cracked"], ["cup: cracked"]]
    world = World({"left": looks}, under_way=lambda moment: False)
    assert [f.detail for f in world.run(wait=60).findings] == ["cup: cracked"]
    assert world.slept == [5, 1]


def test_the_wait_has_an_end(monkeypatch):
    # given work that is never done, and a clock that runs with every sleep
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    world = World({"left": [["cup"]]}, under_way=lambda moment: True)
    runner = Runner(away={}, told=lambda *_: None, sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    [verdict] = runner.run([world.invariant()], settle_seconds=5, wait_seconds=60)
    assert (ids(verdict), clock) == (["cup"], [65.0])


def test_only_work_from_before_the_last_look_counts():
    # given somebody who writes down which moments are asked about
    moments = []
    looks = [["cup: a"], ["cup: b"], ["cup: c"], ["cup: c"]]
    world = World({"left": looks}, under_way=moments.append)
    world.run(wait=60)
    assert moments == sorted(moments)
    assert len(set(moments)) == 2


def test_one_that_waits_long_keeps_no_other_from_its_last_look(monkeypatch):
    # given one invariant that will never come right, and one that does in a moment
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stuck = World({"left": [["cup"]]}, under_way=lambda moment: True)
    slow = World({"left": [["jug"], ["jug"], ["jug"], []]}, under_way=lambda moment: True)
    runner = Runner(away={}, told=lambda *_: None, sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    first, second = runner.run([stuck.invariant(), slow.invariant()], settle_seconds=5, wait_seconds=60)
    assert (ids(first), ids(second)) == (["cup"], [])
