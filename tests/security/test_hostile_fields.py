"""Every field of every body with values that it can't have: each is told as a fault of the request, nothing changes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from tests.security.hostile_values import (
    CHOICES,
    CONTROLS,
    LINE_BREAKS,
    LONG,
    NO_LIST_HERE,
    NO_NUMBERS,
    NO_OBJECT_HERE,
    NO_OBJECTS,
    NO_TEXTS,
    UNKNOWN_FIELDS,
    damaged,
)
from tests.security.operations import Operation, places, replaced, with_fields
from tests.security.world import World, changes, make_world, stored

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

type Place = tuple[str | int, ...]
type Wrong = Callable[[Place, Any], tuple[Any, ...]]

FREE = ("attributes",)  # what a shop notes of a product: any JSON, `options` any texts
NULLABLE = ("line2", "region", "parent_id", "expected_total", "reason", "amount")
SECRETS = ("password", "current_password", "new_password", "refresh")
TEXT_WITH_LINES = ("description", "reason")


def is_id(value: Any) -> bool:
    return isinstance(value, str) and value[3:4] == "_" and len(value) == 18


def wrong_types(place: Place, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return NO_TEXTS if place[-1] in NULLABLE else (*NO_TEXTS, None)
    if isinstance(value, int):
        return NO_NUMBERS
    if isinstance(value, dict):
        return NO_OBJECT_HERE if place and place[-1] in NULLABLE else (*NO_OBJECT_HERE, None)
    return NO_LIST_HERE


def long_texts(place: Place, value: Any) -> tuple[Any, ...]:
    known = isinstance(value, str) and place[-1] != "refresh"  # of which an unknown one is no error at log-out
    return (LONG,) if known else ()


def control_characters(place: Place, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, str) or place[-1] in SECRETS:
        return ()
    return CONTROLS if place[-1] in TEXT_WITH_LINES else (*CONTROLS, *LINE_BREAKS)


def no_choices(place: Place, value: Any) -> tuple[Any, ...]:
    return CHOICES.get(str(place[-1]), ()) if place else ()


def damaged_ids(_: Place, value: Any) -> tuple[Any, ...]:
    return (*damaged(value), "", 7) if is_id(value) else ()


def requests(world: World, wrong: Wrong) -> Iterator[tuple[Operation, Place, Any, Any]]:
    """Operation, place, wrong value and body, for every place of every good body."""
    for each in with_fields():
        good = each.good(world).body
        for place, value in places(good):
            if not set(place) & set(FREE):
                for instead in wrong(place, value):
                    yield each, place, instead, replaced(good, place, instead)


def accepted(world: World, wrong: Wrong, *expected: int) -> list[str]:
    """Requests that were not answered as expected, in words."""
    found, sent = [], 0
    for each, place, instead, body in requests(world, wrong):
        answer, sent = each.send(world, each.good(world), body), sent + 1
        if answer.status not in expected or not answer.refusal[1]:
            name = ".".join(map(str, place))
            found.append(f"{each} {name}={ascii(instead)[:60]}: {answer.status} {answer.body.decode()[:200]}")
    print(f"\n{wrong.__name__}: {sent:,} requests")
    print("\n".join(found))
    assert sent
    return found


THEMES: list[tuple[Wrong, tuple[int, ...]]] = [
    (wrong_types, (422,)),
    (long_texts, (422, 401)),  # 401: there is no such account
    (control_characters, (422, 401)),
    (no_choices, (422,)),
    (damaged_ids, (422,)),
]


@pytest.mark.parametrize(("wrong", "expected"), THEMES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_value_that_a_field_can_not_have_is_told_and_changes_nothing(wrong, expected):
    world = make_world()
    before = stored()
    assert accepted(world, wrong, *expected) == []
    assert changes(before, stored()) == []


def test_a_body_that_is_no_object_is_told_and_changes_nothing():
    world = make_world()
    before = stored()
    refusals = {
        str(each): each.send(world, each.good(world), body).refusal for each in with_fields() for body in NO_OBJECTS
    }
    assert {what: refusal for what, refusal in refusals.items() if refusal != (422, "invalid")} == {}
    assert changes(before, stored()) == []


def test_a_body_at_fault_is_told_before_anybody_looks_for_what_the_path_names():
    world = make_world()
    refusals = {
        str(each): each.send(world, good, {"odd": 1}, url=each.url(good, **dict.fromkeys(good.path, "x"))).refusal
        for each in with_fields()
        if (good := each.good(world)).path
    }
    assert len(refusals) >= 10
    assert {what: refusal for what, refusal in refusals.items() if refusal != (422, "unknown_field")} == {}


def test_a_field_that_nobody_declared_is_refused_by_name_at_every_level():
    # given good bodies with one field too many, in each of their objects
    world = make_world()
    before, found = stored(), []
    for each in with_fields():
        good = each.good(world)
        objects = [place for place, value in places(good.body) if isinstance(value, dict)]
        for place in objects:
            if not set(place) & {*FREE, "options"}:
                for name in UNKNOWN_FIELDS:
                    if name not in dict(places(good.body)).get(place, good.body):
                        answer = each.send(world, good, replaced(good.body, (*place, name), 1))
                        told = {fault["code"] for fault in answer.json.get("errors", [])}
                        if (answer.refusal, told) != ((422, "unknown_field"), {"unknown_field"}):
                            found.append(f"{each} {place} {name!r}: {answer.status} {answer.body.decode()[:200]}")
    # then each is refused for that
    assert found == []
    assert changes(before, stored()) == []
