"""Bodies that are refused before anybody asks who sends them: without a token or a database, at every operation."""

import gzip
import json
from collections.abc import Iterable

import pytest

from tests.security.calling import Answer, call
from tests.security.hostile_values import CHARSETS, MEDIA_TYPES, NOT_JSON
from tests.security.operations import Operation, with_body

pytestmark = pytest.mark.once

BIG = 2 << 20


def send(operation: Operation, body: bytes, **more) -> Answer:
    return call(operation.route.method, f"/{operation.template}", body, **more)


def surprises(answers: Iterable[tuple[object, Answer]], *expected: tuple[int, str]) -> list[str]:
    """Answers that are none of the expected ones, in words."""
    return [f"{what}: {answer.refusal}" for what, answer in answers if answer.refusal not in expected]


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_is_malformed(body):
    answers = ((each, send(each, body)) for each in with_body())
    assert surprises(answers, (400, "malformed_json")) == []


@pytest.mark.parametrize("media", MEDIA_TYPES, ids=lambda media: ascii(media)[:40])
def test_what_is_not_sent_as_json_is_refused(media):
    answers = ((each, send(each, b"{}", headers={"Content-Type": media})) for each in with_body())
    assert surprises(answers, (415, "unsupported_media_type")) == []


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_charset_makes_nothing_of_a_body_that_it_is_not(charset):
    given = {"Content-Type": f"application/json; charset={charset}"}
    answers = [(each, send(each, b'{"a": "\xff"}', headers=given)) for each in with_body()]
    assert surprises(answers, (400, "malformed_json"), (415, "unsupported_media_type")) == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip", "x-gzip", "nonsense"])
@pytest.mark.parametrize("body", [gzip.compress(b"{}"), b"{}"], ids=["packed", "plain"])
def test_a_packed_body_is_refused_whether_it_is_one_or_not(coding, body):
    answers = ((each, send(each, body, headers={"Content-Encoding": coding})) for each in with_body())
    assert surprises(answers, (415, "unsupported_media_type")) == []


@pytest.mark.parametrize("length", [str(BIG), None, "", "5" * 400])
def test_a_huge_body_is_refused_whatever_its_length_is_said_to_be(length):
    # given a body of two mebibytes that would be good JSON, with its length, in chunks, or with a length beyond it
    chunked = {"Transfer-Encoding": "chunked"} if length == "" else {}
    body = b'{"a": "' + b"x" * (BIG - 9) + b'"}'
    answers = ((each, send(each, body, headers=chunked, length=length)) for each in with_body())
    # then it is not read to its end
    assert surprises(answers, (413, "body_too_large")) == []


@pytest.mark.parametrize("length", ["-1", "abc", "\xb2", "0x10", "1.5", "+5", " ", "", "5", "0", "9"])
def test_a_length_that_lies_gives_no_good_body(length):
    answers = ((each, send(each, b'{"a": 1}', length=length)) for each in with_body())
    assert surprises(answers, (400, "malformed_json")) == []


def test_a_body_where_none_is_expected_is_not_looked_at_and_not_kept():
    # given a huge body, or nonsense, at an operation that takes none
    big = call("GET", "/api/v1/auth/me", b"x" * BIG)
    nonsense = call("GET", "/api/v1/auth/me", b"{{{{", headers={"Content-Type": "nonsense"})
    # then its size is refused, and the rest says nothing
    assert (big.refusal, nonsense.refusal) == ((413, "body_too_large"), (401, "not_authenticated"))


def test_good_json_gets_as_far_as_the_token():
    """The control: what the others were refused for was the body."""
    body = json.dumps({"a": "\U0001f600", "b": [{"c": 1}], "d": -0.0}).encode()
    answers = ((each, send(each, body)) for each in with_body() if each.route.who.value != "anyone")
    assert surprises(answers, (401, "not_authenticated")) == []
