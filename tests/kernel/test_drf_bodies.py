"""Bodies in Django REST framework: what is refused, and how it is told."""

import pytest
from django.test import RequestFactory
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from shop.gateway.body import check_body
from shop.gateway.routes import Route, Who
from shop.http.drf import Body, MoneyBody, faults_of_drf

pytestmark = pytest.mark.once


class Line(Body):
    number = serializers.IntegerField()


class Basket(Body):
    lines = Line(many=True)
    first = Line(required=False)


def faults(data):
    body = Basket(data=data)
    with pytest.raises(ValidationError) as refused:
        body.is_valid(raise_exception=True)
    return [(fault.field, fault.code) for fault in faults_of_drf(refused.value.detail)]


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "latin-1", "rot13", "nonsense"])
def test_a_charset_changes_nothing_of_what_is_read(charset):
    factory = RequestFactory()
    request = factory.generic("POST", "/", '{"a": "ä"}'.encode(), content_type=f"application/json; charset={charset}")
    check_body(request, Route(method="POST", path="x", who=Who.ANYONE, has_body=True))
    assert APIView().initialize_request(request).data == {"a": "ä"}


@pytest.mark.parametrize(
    "asked", [{"HTTP_ACCEPT": "text/html"}, {"HTTP_ACCEPT": "garbage"}, {"QUERY_STRING": "format=xml"}]
)
def test_the_answer_is_json_whatever_is_asked_for(asked):
    @api_view(["GET"])
    def view(request):
        return Response({"a": 1})

    answer = view(RequestFactory().get("/", **asked)).render()
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/json", b'{"a":1}')


@pytest.mark.parametrize("amount", [5.0, 5.5, "5", True, None, []])
def test_an_amount_is_a_whole_number_and_nothing_that_looks_like_one(amount):
    body = MoneyBody(data={"amount": amount, "currency": "EUR"})
    assert not body.is_valid()
    assert set(body.errors) == {"amount"}


@pytest.mark.parametrize("data", [[], [1], "text", 7, True])
def test_a_body_that_is_no_object_is_refused(data):
    assert faults(data) == [("", "not_an_object")]


def test_no_body_at_all_is_refused():
    assert faults(None) == [("", "null")]


def test_a_field_nobody_declared_is_refused_by_name():
    assert faults({"lines": [], "gift": True}) == [("gift", "unknown_field")]


def test_what_is_no_object_within_a_body_is_refused_at_its_place():
    assert faults({"lines": [], "first": [1]}) == [("first", "not_an_object")]
    assert faults({"lines": [{"number": 1}, 2]}) == [("lines.1", "not_an_object")]
