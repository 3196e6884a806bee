"""Bodies in Django REST framework: what is refused, and how it is told."""

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from shop.http.drf import Body, faults_of_drf

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
