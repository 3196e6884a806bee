"""`PersonalData`, which every context provides: whoever is asked, on every way."""

import pytest

from contexts.auth.contract import CustomerErased, SessionsRevoked
from shop.contract import NotAuthorized, PersonalData
from shop.events.handlers import handlers_of
from shop.privacy.checks import check_personal_data
from shop.services import acting_as, each, registry
from shop.sharding import hosted_contexts
from shop.sharding.readiness import all_aliases
from tests.contract.transports import WAYS, travelling
from tests.plugin import make_principal
from tests.privacy.people import Customer, Desk
from tests.security.conftest import connections_stay_open  # noqa: F401  a fixture, for all tests here

pytestmark = pytest.mark.django_db(databases=all_aliases())


@pytest.mark.parametrize("way", WAYS)
def test_everybody_tells_what_is_stored_whatever_the_way(way, settings):
    # given a customer with an order
    customer = Customer("umbrafex")
    order = customer.paid(Desk().variant())
    told = customer.send("GET", "auth/me/export").json
    # when that goes another way
    with travelling(way, settings):
        again = customer.send("GET", "auth/me/export").json
    assert again == told
    assert [each["id"] for each in told["ordering"]["orders"]] == [order]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("context", hosted_contexts())
def test_everybody_forgets_whom_nobody_knows(context, way, settings):
    stranger = make_principal().id
    with travelling(way, settings), acting_as("auth"):
        data = each(PersonalData)[context]
        data.erase(customer_id=stranger)
        assert "umbrafex" not in str(data.export(customer_id=stranger))


@pytest.mark.parametrize("caller", ["catalog", "ordering", ""])
def test_nobody_may_ask_but_who_keeps_the_accounts(caller):
    with acting_as(caller):
        for data in each(PersonalData).values():
            with pytest.raises(NotAuthorized):
                data.export(customer_id="1")
            with pytest.raises(NotAuthorized):
                data.erase(customer_id="1")


@pytest.mark.parametrize("event", [CustomerErased, SessionsRevoked])
def test_every_context_hears_of_it(event):
    assert {handler.context for handler in handlers_of(event.topic())} == set(hosted_contexts())


def test_a_context_that_keeps_it_to_itself_is_named_at_start(monkeypatch):
    assert check_personal_data() == []
    left = {own: provider for own, provider in registry._providers.items() if own.context != "ordering"}
    monkeypatch.setattr(registry, "_providers", left)
    assert [(fault.id, fault.msg) for fault in check_personal_data()] == [
        ("shop.E012", "ordering provides no PersonalData")
    ]
