"""What a customer is told to be stored about them: everything, from every context, and nothing of anybody else."""

import json

import pytest

from shop.contract import PersonalData, ServiceUnavailable
from shop.services import each
from shop.sharding.readiness import all_aliases
from tests.privacy.people import Customer
from tests.privacy.test_nothing_is_left import MINE, OTHERS, leave_traces

pytestmark = pytest.mark.django_db(databases=all_aliases())


@pytest.fixture
def customers(desk):
    """Two who have done everything there is to do, and the one's orders."""
    variant = desk.variant()
    customer, other = Customer(MINE), Customer(OTHERS)
    orders = leave_traces(customer, desk, variant)
    leave_traces(other, desk, variant)
    return customer, other, orders


def exported(customer):
    answer = customer.send("GET", "auth/me/export")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    return answer


def test_it_is_everything_in_the_words_of_the_operations(customers):
    customer, _, orders = customers
    found = exported(customer).json
    assert list(found) == ["auth", "catalog", "ordering"]
    assert found["auth"]["account"] == customer.send("GET", "auth/me").json
    assert found["auth"]["addresses"] == customer.send("GET", "auth/me/addresses").json["data"]
    assert [each["revoked_at"] for each in found["auth"]["sign_ins"]] == [None]
    assert found["auth"]["password_reset"]["expires_at"] > found["auth"]["account"]["created_at"]
    assert found["catalog"] == {}
    listed = customer.send("GET", "ordering/orders?limit=100").json["data"]
    assert set(orders.values()) <= {order["id"] for order in listed}
    assert [{**order, "timeline": 0} for order in found["ordering"]["orders"]] == [
        {**order, "timeline": 0} for order in listed
    ]
    for order in found["ordering"]["orders"]:
        told = customer.send("GET", f"ordering/orders/{order['id']}/timeline").json["data"]
        assert order["timeline"] == told
    shown = customer.send("GET", "ordering/cart").json["lines"]
    assert found["ordering"]["cart"]["lines"] == [
        {"variant_id": line["variant_id"], "quantity": line["quantity"]} for line in shown
    ]


def test_it_is_nothing_of_anybody_else_and_no_secret(customers):
    customer, other, _ = customers
    for who, whom in ((customer, OTHERS), (other, MINE)):
        text = json.dumps(exported(who).json)
        assert who.word in text
        assert whom not in text
        assert "argon2" not in text
        assert who.refresh.partition(".")[2] not in text


def test_it_is_whole_or_refused(desk, settings):
    # given a shop with a context that lives elsewhere
    customer = Customer(MINE)
    settings.KNOWN_CONTEXTS = (*settings.KNOWN_CONTEXTS, "support")
    answer = customer.send("GET", "auth/me/export")
    # then nobody is told half of it
    assert answer.refusal == (503, "service_unavailable")
    with pytest.raises(ServiceUnavailable, match="support"):
        each(PersonalData)


def test_an_erased_customer_is_told_nothing(settle):
    customer = Customer(MINE)
    customer.erase()
    assert exported(customer).json == {"auth": {}, "catalog": {}, "ordering": {"cart": {"lines": []}, "orders": []}}
    settle()
    assert customer.send("GET", "auth/me/export").refusal == (401, "token_invalid")
