"""One document, whoever hosts which context: put together of parts it is the one that a whole shop serves."""

import json

import pytest

from config.hosting import KNOWN_CONTEXTS
from shop.contract import ServiceUnavailable
from shop.gateway.openapi import as_json, document, merging, whole_document
from shop.gateway.openapi.document import Clash
from shop.gateway.openapi.merging import merged
from shop.services.transport.http.connections import Answer, NotSent

pytestmark = pytest.mark.once


def parts():
    return [json.loads(as_json(context)) for context in KNOWN_CONTEXTS]


def test_put_together_of_its_parts_it_is_the_whole():
    assert merged(list(KNOWN_CONTEXTS), parts()) == document()


def test_two_contexts_that_mean_different_things_by_one_name_are_told():
    first, *others = parts()
    first["components"]["schemas"]["Money"] = {"type": "string"}
    with pytest.raises(Clash, match="Money"):
        merged(list(KNOWN_CONTEXTS), [first, *others])


class There:
    """A context that says its part of the document."""

    def __init__(self):
        self.asked, self.is_there, self.connections, self.says = [], True, self, as_json

    def __call__(self, context, url):
        return self

    def send(self, _method, path, _body, headers, **_):
        self.asked.append(path)
        self.headers = headers
        if not self.is_there:
            raise NotSent("nobody")
        return Answer(status=200, body=self.says(path.split("/")[3]))


@pytest.fixture
def apart(settings, monkeypatch):
    """Catalog and ordering live elsewhere."""
    found = There()
    monkeypatch.setattr(merging, "target_of", found)
    monkeypatch.setattr(merging, "_kept", {})
    settings.CONTEXTS = ("auth",)
    settings.CONTEXT_URLS = {"catalog": "http://catalog", "ordering": "http://ordering"}
    return found


def test_parts_that_live_elsewhere_are_asked_for_and_kept(apart, client):
    answer = client.get("/api/v1/openapi.json")
    assert json.loads(answer.content)["paths"].keys() >= {"/api/v1/catalog/products", "/api/v1/ordering/orders"}
    assert json.loads(client.get("/api/v1/catalog/openapi.json").content)["tags"] == [{"name": "catalog"}]
    assert sorted(apart.asked) == ["/api/v1/catalog/openapi.json", "/api/v1/ordering/openapi.json"]


def test_a_shop_behind_https_asks_as_its_proxy_does(apart, settings):
    settings.SECURE_SSL_REDIRECT = True
    whole_document("catalog")
    assert apart.headers == {"X-Forwarded-Proto": "https"}


def test_a_part_that_is_away_is_as_it_was_and_without_one_there_is_no_document(apart, client, monkeypatch):
    apart.is_there = False
    answer = client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    with pytest.raises(ServiceUnavailable):
        whole_document("catalog")
    # when it was there once
    apart.is_there = True
    whole_document()
    apart.is_there = False
    monkeypatch.setattr(merging, "KEPT_SECONDS", 0.0)
    assert client.get("/api/v1/openapi.json").status_code == 200


NO_DOCUMENT = [b"<html>", b"\xff", b"[]", b"7", b"{}", b'{"paths": {}}', b'{"paths": [], "components": {}}']


@pytest.mark.parametrize("body", NO_DOCUMENT)
def test_what_is_no_document_is_neither_shown_nor_kept(body, apart, client):
    # given somebody in between, who says something else with 200
    apart.says = lambda _: body
    answer = client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    # then the document is there as soon as the context itself answers
    apart.says = as_json
    assert client.get("/api/v1/openapi.json").status_code == 200
