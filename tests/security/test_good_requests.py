"""The control of all tests of hostile input: every operation takes the request that the hostile ones are made from."""

import pytest
from django.conf import settings

from tests.security.operations import GOOD, operations
from tests.security.world import changes, make_world, stored, undone

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])


def test_every_operation_of_the_route_table_has_a_good_request():
    assert {str(each) for each in operations()} == set(GOOD)


def test_every_good_request_is_answered():
    # given a shop
    world = make_world()
    # when each operation gets its good request there
    refused = []
    for each in operations():
        with undone():  # one of them erases whoever sends the others
            answer = each.send(world, each.good(world))
        if answer.status not in (200, 201, 202, 204):
            refused.append(f"{each}: {answer.status} {answer.body.decode()}")
    # then none is refused
    assert refused == []


def test_a_change_is_seen():
    world = make_world()
    before = stored()
    for each in operations():
        if each.route.method == "GET":
            each.send(world, each.good(world))
    assert changes(before, stored()) == []
    for each in operations():
        if str(each).endswith("/stock/adjustments"):
            each.send(world, each.good(world))
    assert {line.split(":")[0].split(".")[1] for line in changes(before, stored())} >= {"shop_catalog_stockmovement"}
