"""Pages of lists with limits and cursors that are none, at every list there is."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.conf import settings

from tests.security.calling import Answer
from tests.security.hostile_values import CURSORS, LIMITS
from tests.security.operations import Operation, operations
from tests.security.world import World, changes, make_world, stored

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

BY_ID = ("api/v1/catalog/variants",)  # as many as IDs were asked for: no pages
FILTERS = ("min_price", "max_price", "in_stock", "sort", "status", "payment_status", "fulfilment_status")
WORDS = ("%00", "%FF", "%27%20OR%201=1--", "*", "%22", "%25", "_", "%E2%80%AE", "%F0%9F%98%80", "NEAR(", "a" * 200)
FILTERED = {"api/v1/catalog/products": FILTERS[:4], "api/v1/ordering/orders": FILTERS[4:]}
NO_FILTERS = ("", "-1", "abc", "1e3", "9" * 30, "%00", "%EF%BC%91", "True", "price'--", "1.5", "null")


def lists(world: World) -> Iterator[tuple[Operation, str]]:
    """Every operation that answers pages, with an address that ends in a query."""
    for each in operations():
        good = each.good(world)
        if each.route.method == "GET" and each.template not in BY_ID:
            answer = each.send(world, good)
            if "next_cursor" in answer.json:
                url = each.url(good)
                yield each, f"{url}{'&' if '?' in url else '?'}"


def asked(each: Operation, world: World, url: str) -> Answer:
    return each.send(world, each.good(world), url=url)


def refusals(world: World, name: str, values: tuple[str, ...]) -> dict[tuple[int, str], list[str]]:
    """What every list says to each value of a parameter."""
    found: dict[tuple[int, str], list[str]] = {}
    for each, url in lists(world):
        for value in values:
            found.setdefault(asked(each, world, f"{url}{name}={value}").refusal, []).append(f"{each} {value[:20]}")
    return found


def test_a_limit_is_a_whole_number_from_1_to_100():
    found = refusals(make_world(), "limit", LIMITS)
    assert set(found) == {(422, "invalid")}, found
    assert len(found[422, "invalid"]) >= 5 * len(LIMITS)


def test_a_limit_at_fault_is_told_before_anybody_looks_for_what_the_path_names():
    world = make_world()
    [each] = [each for each in operations() if each.template.endswith("/movements")]
    url = each.url(each.good(world), variant_id="x")
    assert asked(each, world, f"{url}?limit=0").refusal == (422, "invalid")


def test_of_a_limit_that_comes_twice_the_last_counts():
    world = make_world()
    for each, url in lists(world):
        assert asked(each, world, f"{url}limit=0&limit=1").status == 200
        assert asked(each, world, f"{url}limit=1&limit=0").refusal == (422, "invalid")


def test_a_cursor_is_none_that_somebody_made_up():
    found = refusals(make_world(), "cursor", CURSORS)
    assert set(found) == {(422, "invalid_cursor")}, found


def real_cursors(world: World) -> dict[str, str]:
    """A cursor of every list, or at least of those with more than one row."""
    found = {}
    for each, url in lists(world):
        if following := asked(each, world, f"{url}limit=1").json["next_cursor"]:
            found[str(each)] = following
    return found


def test_a_cursor_of_another_list_or_damaged_in_one_letter_is_refused():
    # given cursors of several lists
    world = make_world()
    cursors = real_cursors(world)
    assert len(cursors) >= 2, cursors
    before = stored()
    # when each is shown at every other list, or with a letter changed at its own
    surprises = []
    for each, url in lists(world):
        for owner, good in cursors.items():
            other = "B" if good[5] == "A" else "A"
            shown = [good[:5] + other + good[6:], good[:-1], good + "A", good.swapcase()]
            for text in [*shown, *([good] if owner != str(each) else [])]:
                answer = asked(each, world, f"{url}cursor={quote(text)}")
                if answer.refusal != (422, "invalid_cursor"):
                    surprises.append(f"{each} with {text[:20]} of {owner}: {answer.status}")
    # then it is refused
    assert surprises == []
    assert changes(before, stored()) == []


def test_a_cursor_of_another_customer_is_refused():
    # given a customer's cursor of their orders
    world = make_world()
    cursor = real_cursors(world)["GET /api/v1/ordering/orders"]
    [orders] = [each for each in operations() if str(each) == "GET /api/v1/ordering/orders"]
    url = f"/{orders.template}?cursor={quote(cursor)}"
    assert orders.send(world, orders.good(world), url=url).status == 200
    # when somebody else shows it, then it is none
    for token in (world.other, world.staff):
        assert orders.send(world, orders.good(world), url=url, token=token).refusal == (422, "invalid_cursor")


@pytest.mark.parametrize("template", FILTERED)
def test_a_filter_that_can_not_be_is_told(template):
    world = make_world()
    [each] = [each for each in operations() if str(each) == f"GET /{template}"]
    for name in FILTERED[template]:
        for wrong in NO_FILTERS:
            answer = asked(each, world, f"/{template}?{name}={wrong}")
            assert answer.refusal == (422, "invalid"), (name, wrong, answer.body)
            assert answer.json["errors"][0]["field"] == name


def test_any_words_may_be_searched_for():
    world = make_world()
    [each] = [each for each in operations() if str(each) == "GET /api/v1/catalog/products"]
    assert {q: asked(each, world, f"/{each.template}?q={q}").status for q in WORDS} == dict.fromkeys(WORDS, 200)
