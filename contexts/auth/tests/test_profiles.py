"""`AuthService` as its consumers see it, through every transport there is."""

import pytest

from contexts.auth.contract import AuthService, CustomerProfile
from contexts.auth.tests.people import registered
from shop.contract import InvalidError, NotAuthorized
from shop.services import acting_as, resolve
from shop.sharding.public_ids import number_of
from tests.plugin import make_principal


@pytest.fixture(params=["local", "loopback"])
def profiles(request, settings):
    settings.SERVICE_TRANSPORT = request.param

    def ask(*customer_ids, caller="ordering"):
        with acting_as(caller):
            return resolve(AuthService).profiles(customer_ids=customer_ids)

    return ask


def test_profiles_come_in_the_order_asked_from_both_shards(client, profiles):
    shown = [registered(client, name=f"Person {number}") for number in range(8)]
    numbers = [str(number_of("cus", customer["id"])) for customer in shown]
    wanted = [
        CustomerProfile(customer_id=number, email=customer["email"], name=customer["name"])
        for number, customer in zip(numbers, shown, strict=True)
    ]
    assert profiles(*reversed(numbers)) == tuple(reversed(wanted))


def test_who_does_not_exist_has_no_profile_and_who_is_asked_for_twice_comes_twice(client, profiles):
    known = str(number_of("cus", registered(client)["id"]))
    nobody = make_principal().id
    found = profiles(known, nobody, known)
    assert [profile and profile.customer_id for profile in found] == [known, None, known]


def test_nobody_asked_for_is_nobody_found(profiles):
    assert profiles() == ()


def test_more_than_a_batch_is_refused(profiles):
    with pytest.raises(InvalidError, match="batch_too_large"):
        profiles(*["1"] * 501)


def test_a_caller_the_contract_does_not_name_is_refused(profiles):
    with pytest.raises(NotAuthorized):
        profiles("1", caller="billing")
