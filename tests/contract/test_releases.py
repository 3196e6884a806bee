"""This code and past releases understand each other: what they wrote is read, and what is written now they read."""

import json
from functools import partial
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shop.services import codec
from shop.services.contracts.describing import described
from shop.services.contracts.finding import Contract
from tests.contract.payloads import payloads_of, schemas_of

pytestmark = pytest.mark.once

RELEASES = sorted(Path(__file__).with_name("releases").glob("*/*.json"))


@pytest.fixture(params=RELEASES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def released(request):
    """A past release of one context: its name, its snapshot, and what it wrote."""
    kept = json.loads(request.param.read_text())
    return request.param.stem, kept["snapshot"], kept["payloads"]


def through(context, name):
    """What reads a payload and writes it again with this code."""
    contract = Contract.of(context)
    kind, _, what = name.partition(" ")
    if kind == "event":
        event = next(each for each in contract.events if each.topic() == what)
        return partial(read_and_written, event)
    if kind == "error":
        error = next(each for each in contract.errors if each.__name__ == what)
        return partial(error_read_and_written, error)
    operation = operation_named(contract, what)
    return partial(arguments_read_and_written if kind == "arguments" else answer_read_and_written, operation)


def operation_named(contract, what):
    service, _, method = what.partition(".")
    return {each.__name__: each for each in contract.services}[service].operations[method]


def read_and_written(hint, payload):
    return codec.adapter(hint).dump_python(codec.adapter(hint).validate_python(payload), mode="json")


def arguments_read_and_written(operation, payload):
    return json.loads(codec.dump_arguments(operation, codec.load_arguments(operation, json.dumps(payload).encode())))


def answer_read_and_written(operation, payload):
    return json.loads(codec.dump_answer(operation, codec.load_answer(operation, json.dumps(payload).encode())))


def error_read_and_written(kind, payload):
    wire = json.dumps({"code": kind.code, "data": payload}).encode()
    error = codec.error_from(wire, [kind])
    assert type(error) is kind
    return json.loads(codec.dump_error(error))["data"]


def lost(given, kept):
    """Whether something of ``given`` is not in ``kept``, which may have more."""
    if isinstance(given, dict):
        return not isinstance(kept, dict) or any(name not in kept or lost(given[name], kept[name]) for name in given)
    if isinstance(given, list):
        return len(given) != len(kept) or any(map(lost, given, kept))
    return given != kept


def test_there_is_a_release_of_every_context():
    assert {file.stem for file in RELEASES} == {"auth", "catalog", "ordering"}


def test_a_release_has_an_example_of_everything(released):
    _, snapshot, payloads = released
    assert payloads.keys() == schemas_of(snapshot).keys()
    assert all(payloads.values())


def test_what_was_written_then_is_read_now(released):
    context, _, payloads = released
    unread = [
        (name, payload)
        for name, each in payloads.items()
        for payload in each
        if lost(payload, through(context, name)(payload))
    ]
    assert unread == []


def test_what_is_written_now_was_read_then(released):
    # given everything that this code writes, and what the release knew of it
    context, snapshot, _ = released
    now = payloads_of(described(Contract.of(context)))
    then = {name: {**schema, "types": snapshot["types"]} for name, schema in schemas_of(snapshot).items()}
    # then
    refused = [
        (name, error.message)
        for name, schema in then.items()
        for payload in now[name]
        for error in Draft202012Validator(schema).iter_errors(through(context, name)(payload))
    ]
    assert refused == []


def test_what_a_release_would_not_read_is_seen():
    schema = {"$ref": "#/types/Cup", "types": {"Cup": {"type": "object", "required": ["size"]}}}
    assert [each.message for each in Draft202012Validator(schema).iter_errors({})] == ["'size' is a required property"]
    assert lost({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}], "d": 3}) is False
    assert lost({"a": [{"b": 1}]}, {"a": [{"c": 1}]}) is True
