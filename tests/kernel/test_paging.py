"""Limits and cursors: what a client may send, and what is refused."""

from datetime import UTC, datetime

import pytest
from django.core import signing
from hypothesis import given
from hypothesis import strategies as st

from shop.contract import InvalidError
from shop.http.paging import cursor, limit_of, position

pytestmark = pytest.mark.once

VALUES = [datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), 2**62 + 1, "tea", "", -1]


@pytest.mark.parametrize(("given", "expected"), [({}, 20), ({"limit": "1"}, 1), ({"limit": "100"}, 100)])
def test_a_limit(given, expected):
    assert limit_of(given) == expected


@pytest.mark.parametrize("text", ["", "0", "101", "-1", "1.0", "x", "٣", "1e1", " 5", "9" * 5000])
def test_what_is_no_limit(text):
    with pytest.raises(InvalidError) as caught:
        limit_of({"limit": text})
    assert [(fault.field, fault.code) for fault in caught.value.faults] == [("limit", "out_of_range")]


def test_a_cursor_brings_its_values_back():
    assert position("products", {"cursor": cursor("products", VALUES)}) == VALUES
    assert position("products", {}) is None


def refused(text, name="products"):
    with pytest.raises(InvalidError) as caught:
        position(name, {"cursor": text})
    assert (caught.value.code, caught.value.faults[0].field) == ("invalid_cursor", "cursor")


@pytest.mark.parametrize("text", ["", ":", "x", "a:b", "é", "\0", "x" * 10_000, signing.dumps([1])])
def test_what_is_no_cursor(text):
    refused(text)


def test_a_cursor_of_another_list_is_refused():
    refused(cursor("orders", VALUES))
    refused(cursor("products", VALUES), name="products:price")


@given(st.integers(0, 200), st.characters())
def test_a_damaged_cursor_is_refused(place, character):
    good = cursor("products", [1, "tea"])
    place %= len(good)
    damaged = good[:place] + character + good[place + 1 :]
    if damaged != good:
        refused(damaged)
