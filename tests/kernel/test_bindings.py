"""A context that is hosted here and answered elsewhere: whoever asks here is answered from there, once."""

import json
from collections.abc import Sequence

import pytest
from django.test import Client

from config.hosting import urls_of_others
from shop.addresses import http_address
from shop.contract import Service, query
from shop.http.edge import HEADER, Edge, edge_of, told
from shop.observability.trace import traceparent
from shop.services.identity import vouch
from shop.services.transport.http import DEADLINE
from shop.services.transport.http.targets import leave_targets
from shop.settings import Env
from shop.sharding.binding import bound_url, note_binding
from tests.contract.over_http import Here
from tests.kernel.far_away import answer_dropped, far_away

pytestmark = pytest.mark.once

NOBODY = "http://127.0.0.1:9"
PRODUCT = "/api/v1/catalog/products/prd_x"
BODY = b'{"ids": ["a"]}'


class Stall(Service):
    context = "catalog"

    @query(callers=("ordering",))
    def cups(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        raise NotImplementedError


class Table(Stall):
    def __init__(self, name):
        self._name = name

    def cups(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        return (self._name, *ids)


@pytest.fixture
def bind():
    """Say where catalog is answered."""
    yield lambda url: note_binding("catalog", url)
    note_binding("catalog", "")
    leave_targets()


def from_gateway(**more):
    return {HEADER: told(Edge(traceparent=traceparent(), address="10.1.2.3", **more))}


@pytest.mark.parametrize("headers", [dict, from_gateway], ids=["directly", "by a gateway"])
def test_clients_are_answered_from_there(headers, bind):
    bind(NOBODY)
    assert Client().get(PRODUCT, headers=headers()).status_code == 503
    bind("")
    assert Client().get(PRODUCT, headers=headers()).status_code == 404


def test_what_was_sent_on_is_sent_on_no_further(bind):
    bind(NOBODY)
    assert Client().get(PRODUCT, headers=from_gateway(sent_on=True)).status_code == 404


def called(headers=None):
    """Ordering calls here."""
    vouched = {"Authorization": f"Bearer {vouch('ordering', 'catalog', 'cups', BODY)}", DEADLINE: "1000"}
    told_too = {"Content-Type": "application/json", **vouched, **(headers or {})}
    return Here(Stall, Table("here")).send("POST", "/_svc/catalog/v1/cups", BODY, told_too, seconds=1)


def test_calls_of_others_are_answered_from_there(bind, rf):
    with far_away(Stall, Table("there")) as there:
        bind(there.url)
        answer = called()
        note = there.requests[0][HEADER]
    assert (answer.status, json.loads(answer.body)) == (200, ["there", "a"])
    assert edge_of(rf.get("/", headers={HEADER: note})).sent_on


def test_calls_that_were_sent_on_are_answered_here(bind):
    bind(NOBODY)
    assert json.loads(called(from_gateway(sent_on=True)).body) == ["here", "a"]


def test_a_caller_is_told_whether_its_call_may_be_done(bind):
    # given nobody there, then it is not
    bind(NOBODY)
    answer = called()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "service_unavailable")
    # given an answer that gets lost, then nobody says a word
    with far_away(Stall, Table("there")) as there:
        there.mishaps = [answer_dropped]
        bind(there.url)
        answer = called()
    assert (answer.status, answer.body) == (504, b"")


@pytest.mark.parametrize(
    ("place", "is_here"),
    [("127.0.0.1:{}", True), ("localhost:{}/", True), ("127.0.0.1:1", False), ("shop.invalid:{}", False)],
)
def test_what_is_bound_to_this_very_server_is_answered_here(place, is_here, bind, settings):
    url = f"http://{place.format(settings.PORT)}"
    assert bind(url)
    assert bound_url("catalog") == ("" if is_here else url)
    assert not bind(url)


WRONG = ["nowhere", "ftp://a", "http://", "http://a:80o2", "http://a:99999", "http://[::1", "http://a@b", "http://a?b"]


@pytest.mark.parametrize("given", WRONG)
def test_what_is_no_address_is_told(given):
    env = Env({"CATALOG_URL": given})
    urls_of_others(env, ("auth", "ordering"))
    assert env.problems == ["CATALOG_URL: must be an address like http://catalog:8000"]


def test_an_address_may_have_a_path():
    assert http_address("https://shop.example/catalog/") == "https://shop.example/catalog"
