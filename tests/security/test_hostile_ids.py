"""IDs that are damaged, of another kind, of nobody or of somebody else: not found in a path, a fault in a query."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.conf import settings

from tests.security.calling import call
from tests.security.hostile_values import damaged, unknown
from tests.security.operations import Good, Operation, operations
from tests.security.world import World, changes, make_world, stored

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

NAMED = {"PUT /api/v1/ordering/cart/lines/<variant_id>": ("not_found", "variant_not_found")}
"""What the API promises beside `not_found`; with another shop's ID as with one of nothing."""
PATHS = (
    ".",
    "..",
    "%2e%2e%2f%2e%2e",
    "a/b",
    "a%2Fb",
    "%00",
    "%FF%FE",
    "%",
    "",
    "*",
    "<id>",
    ";jsessionid=1",
    "%F0%9F%98%80",
)


def with_id(world: World) -> Iterator[tuple[Operation, Good, str, str]]:
    """Operation, good request, name and value of each ID in its path."""
    for each in operations():
        good = each.good(world)
        for name, value in good.path.items():
            if "_" in value:  # a provider's name is no ID
                yield each, good, name, value


def found(world: World, wrong) -> list[str]:
    """Answers that are not 404, where ``wrong(name, good ID)`` gives what goes into the path, escaped."""
    surprises, sent = [], 0
    for each, good, name, value in with_id(world):
        for instead in wrong(name, value):
            answer, sent = each.send(world, good, url=each.url(good, **{name: instead})), sent + 1
            if answer.status != 404 or answer.refusal[1] not in NAMED.get(str(each), ("not_found",)):
                surprises.append(f"{each} {ascii(instead)[:40]}: {answer.status} {answer.body.decode()[:160]}")
    print("\n".join([f"\n{sent:,} requests", *surprises]))
    assert sent
    return surprises


def is_damaged(name: str, value: str) -> list[str]:
    return [quote(each, safe="") for each in damaged(value) if each.strip("\n ")]


def is_nothings(name: str, value: str) -> list[str]:
    return [unknown(value)]


def is_no_id(name: str, value: str) -> list[str]:
    return list(PATHS)


@pytest.mark.parametrize("wrong", [is_damaged, is_nothings, is_no_id], ids=lambda wrong: wrong.__name__)
def test_an_id_in_a_path_that(wrong):
    world = make_world()
    before = stored()
    assert found(world, wrong) == []
    assert changes(before, stored()) == []


def test_what_is_somebody_elses_is_not_there():
    # given two customers, each with an address and an order
    world = make_world()
    before = stored()
    # when one asks for the other's, or does something with it
    customers = [each for each in with_id(world) if each[2] in world.theirs and each[0].caller(world) == world.customer]
    answers = {
        str(each): each.send(world, good, url=each.url(good, **{name: world.theirs[name]})).refusal
        for each, good, name, _ in customers
    }
    # then there is no such thing
    assert len(answers) >= 6
    assert set(answers.values()) == {(404, "not_found")}, answers
    assert changes(before, stored()) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("catalog/categories?parent=", "category"),
        ("catalog/products?category=", "category"),
        ("catalog/variants?ids=", "variant"),
        ("ordering/orders?customer_id=", "pending"),
    ],
)
def test_an_id_in_a_query_is_told_as_a_fault(path, kind):
    world = make_world()
    for wrong in damaged(getattr(world, kind)):
        answer = call("GET", f"/api/v1/{path}{quote(wrong)}", token=world.staff)
        assert answer.refusal == (422, "invalid_id"), wrong


def test_ids_of_one_kind_are_none_of_another():
    # given one ID of each kind
    world = make_world()
    ids = {good.path[name] for _, good, name, _ in with_id(world)}
    # then each is found where it belongs only
    found_at = [
        (each, name, other)
        for each, good, name, value in with_id(world)
        for other in ids
        if other[:4] != value[:4] and each.send(world, good, url=each.url(good, **{name: other})).status != 404
    ]
    assert found_at == []
