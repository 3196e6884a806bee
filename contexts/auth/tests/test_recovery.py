"""What a crash leaves behind on the way of a registration, and how it heals."""

from datetime import UTC, datetime, timedelta

import pytest

from contexts.auth.models import Customer
from contexts.auth.services import customers
from contexts.auth.tests.people import PASSWORD, post, refusal, registered
from shop.events.housekeeping import finish_dangling_values
from shop.events.models import OutboxEvent
from shop.sharding import aliases_of, new_id
from shop.sharding.models import UniqueValue
from shop.sharding.public_ids import number_of
from shop.sharding.unique import owner_of_value, reserve

ADA = "ada@example.org"


class Crash(BaseException):
    """The process ends here: nothing behind it runs, no handler of exceptions either."""


@pytest.fixture
def crash(monkeypatch):
    """Let a registration of Ada's end where ``step`` would begin; give the number it had chosen."""

    def crash_before(step):
        chosen = new_id("auth")

        def stop(*arguments, **named):
            raise Crash

        with monkeypatch.context() as patched:
            patched.setattr(customers, "new_id", lambda _: chosen)
            patched.setattr(customers, step, stop)
            with pytest.raises(Crash):
                customers.register(email=ADA, password=PASSWORD)
        return chosen

    return crash_before


@pytest.fixture
def impatient(monkeypatch):
    """The next one does not wait for the dead one."""
    monkeypatch.setattr("shop.sharding.unique.PATIENCE_SECONDS", 0.0)


def grow_old():
    for alias in aliases_of("auth"):
        UniqueValue.objects.using(alias).update(reserved_at=datetime.now(UTC) - timedelta(minutes=1))


def state():
    return next(row.state for alias in aliases_of("auth") for row in UniqueValue.objects.using(alias).all())


@pytest.mark.parametrize("step", ["mark_created", "publish"])
def test_after_a_crash_before_the_account_was_made_the_next_one_gets_the_address(client, crash, impatient, step):
    dead = crash(step)
    assert owner_of_value("auth", "email", ADA) == dead
    number = number_of("cus", registered(client, ADA)["id"])
    assert number != dead
    assert [row.pk for row in Customer.objects.filter(email=ADA).across().rows()] == [number]


def test_a_crash_before_the_account_was_made_leaves_no_event(crash):
    crash("publish")
    assert sum(OutboxEvent.objects.using(alias).count() for alias in aliases_of("auth")) == 0


@pytest.mark.parametrize("step", ["mark_created", "publish"])
def test_the_sweeper_frees_the_address_of_an_account_that_was_never_made(client, crash, step):
    crash(step)
    grow_old()
    assert finish_dangling_values("auth") == 1
    assert owner_of_value("auth", "email", ADA) is None
    assert registered(client, ADA)["email"] == ADA


def test_after_a_crash_before_confirm_the_account_works_and_the_address_stays_taken(client, crash, impatient):
    crash("confirm")
    assert post(client, "token", email=ADA, password=PASSWORD).status_code == 200
    answer = post(client, "register", email=ADA, password=PASSWORD)
    assert refusal(answer) == (409, "email_taken")
    assert state() == UniqueValue.State.CONFIRMED


def test_the_sweeper_confirms_the_address_of_an_account_that_was_made(crash):
    number = crash("confirm")
    grow_old()
    assert finish_dangling_values("auth") == 1
    assert (state(), owner_of_value("auth", "email", ADA)) == (UniqueValue.State.CONFIRMED, number)


def test_who_was_given_up_while_still_alive_can_not_create_any_more(client, monkeypatch):
    """A registration that sleeps until the sweeper frees its address has to start over, and makes no twin."""

    def reserve_and_sleep(*arguments):
        reserve(*arguments)
        grow_old()
        finish_dangling_values("auth")

    with monkeypatch.context() as patched:
        patched.setattr(customers, "reserve", reserve_and_sleep)
        answer = post(client, "register", email=ADA, password=PASSWORD)
    assert refusal(answer) == (503, "creation_voided")
    assert answer.headers["Retry-After"] == "1"
    assert Customer.objects.filter(email=ADA).across().count() == 0
    assert registered(client, ADA)["email"] == ADA
