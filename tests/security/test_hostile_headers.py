"""Methods that there are not, headers that mean something elsewhere, keys that are none, callers who may not."""

from itertools import product

import pytest
from django.conf import settings

from shop.gateway.routes import Key, Who
from shop.gateway.tokens import mint
from tests.plugin import make_principal
from tests.security.calling import call
from tests.security.hostile_values import KEYS, METHODS
from tests.security.operations import operations
from tests.security.world import World, changes, make_world, stored

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")
REWRITES = {
    "X-Original-URL": "/admin/",
    "X-Rewrite-URL": "/livez",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/admin",
    "X-Forwarded-Proto": "ftp",
    "X-User-Id": "1",
    "X-Accel-Redirect": "/etc/passwd",
    "Forwarded": "for=127.0.0.1;host=evil.example",
    "Remote-User": "admin",
    "Cookie": "sessionid=" + "x" * 4_000,
    "Range": "bytes=0-0,-1",
    "Expect": "200-maybe",
    "TE": "trailers, chunked",
    "Accept": "\xff\xfe",
    "Accept-Language": "../" * 500,
    "If-None-Match": "*" * 9_000,
    "If-Modified-Since": "never",
}


def test_a_method_that_an_address_has_not_is_405_and_names_those_it_has():
    world = make_world()
    before = stored()
    surprises = []
    for method, each in product(METHODS, operations()):
        answer = call(method, each.url(each.good(world)), b"{}", token=each.caller(world))
        if answer.refusal != (405, "method_not_allowed") or each.route.method not in answer.headers["Allow"]:
            surprises.append(f"{method} {each.template}: {answer.status}")
    assert surprises == []
    assert changes(before, stored()) == []


def test_a_method_comes_from_nowhere_else():
    world = make_world()
    before = stored()
    for each in operations():
        if each.route.method == "GET":
            for name, method in product(OVERRIDES, ("DELETE", "POST")):
                answer = each.send(world, each.good(world), headers={name: method})
                assert (str(each), answer.status) == (str(each), 200)
    assert changes(before, stored()) == []


def test_headers_that_move_a_request_elsewhere_move_nothing():
    world = make_world()
    before = stored()
    surprises = []
    for each in operations():
        if each.route.method == "GET":
            good = each.good(world)
            plain = each.send(world, good)
            for name, value in REWRITES.items():
                answer = each.send(world, good, headers={name: value})
                if (answer.status, answer.body) != (plain.status, plain.body):
                    surprises.append(f"{each} {name}: {answer.status}")
    assert surprises == []
    assert changes(before, stored()) == []


def test_a_key_that_is_none_is_refused_and_changes_nothing():
    world = make_world()
    before = stored()
    answers = {
        f"{each} {key[:20]!a}": each.send(world, each.good(world), headers={"Idempotency-Key": key}).refusal
        for key, each in product(KEYS, operations())
        if each.route.key is not Key.IGNORED
    }
    assert set(answers.values()) == {(400, "idempotency_key_required")}, answers
    assert changes(before, stored()) == []


def callers(world: World) -> dict[str, str]:
    return {
        "customer": world.customer,
        "superuser": world.staff,
        "read only": mint(make_principal("staff", "read_only")),
        "a role that there is not": mint(make_principal("staff", "Superuser")),
        "no role": mint(make_principal("staff")),
    }


def may(who: str, operation) -> bool:
    route = operation.route
    if route.who in (Who.ANYONE, Who.READER):
        return True
    if who == "customer":
        return route.who is not Who.STAFF
    some_role = who in ("read only", "a role that there is not")
    return route.who is not Who.CUSTOMER and (who == "superuser" or (some_role and not route.role))


def test_who_may_not_is_403_and_who_is_nobody_401():
    # given good requests of every operation
    world = make_world()
    before, surprises = stored(), []
    # when each comes from everybody who may not
    for each in operations():
        good = each.good(world)
        for who, token in callers(world).items():
            if not may(who, each) and each.send(world, good, token=token).refusal != (403, "forbidden"):
                surprises.append(f"{each} by {who}")
        if each.route.who not in (Who.ANYONE, Who.READER):
            for authorization in ("", "Bearer", "Basic YTpi", "Bearer\t", f"Token {world.staff}", world.staff):
                answer = each.send(world, good, token="", headers={"Authorization": authorization})
                if answer.refusal != (401, "not_authenticated"):
                    surprises.append(f"{each} with {authorization[:12]!r}: {answer.refusal}")
    # then each is refused
    assert surprises == []
    assert changes(before, stored()) == []
