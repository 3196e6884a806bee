"""What is typed as a partition, and what each process is told."""

import pytest

from scripts.topologies.partition import BadPartition, environment_of, groups_of, parts_of

pytestmark = pytest.mark.once


def test_a_comma_parts_and_a_plus_joins():
    assert groups_of("auth, catalog + ordering") == [("auth",), ("catalog", "ordering")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "'' is no context"),
        ("auth,tea", "'tea' is no context"),
        ("auth,catalog,", "'' is no context"),
        ("auth,catalog", "ordering is missing"),
        ("auth+auth,catalog,ordering", "auth is named twice"),
    ],
)
def test_what_is_no_partition_is_said(text, what):
    with pytest.raises(BadPartition, match=what):
        groups_of(text)


def test_each_process_knows_where_the_others_are_and_the_gateway_knows_all():
    parts = parts_of(groups_of("auth,catalog+ordering"), 8000, [9001, 9002])
    told = {part.name: environment_of(part, parts, {"SHOP_HOME": "/shop"}) for part in parts}
    auth, both = "http://127.0.0.1:9001", "http://127.0.0.1:9002"
    every = {"SHOP_HOME": "/shop"}
    assert told == {
        "auth": {**every, "CONTEXTS": "auth", "PORT": "9001", "CATALOG_URL": both, "ORDERING_URL": both},
        "catalog+ordering": {**every, "CONTEXTS": "catalog,ordering", "PORT": "9002", "AUTH_URL": auth},
        "gateway": {
            **every,
            "CONTEXTS": "none",
            "SERVER_THREADS": "32",
            "PORT": "8000",
            "AUTH_URL": auth,
            "CATALOG_URL": both,
            "ORDERING_URL": both,
        },
    }


def test_a_shop_in_one_process_needs_no_gateway():
    [part] = parts_of(groups_of("auth+catalog+ordering"), 8000, [9001])
    assert (part.name, part.port) == ("shop", 8000)
