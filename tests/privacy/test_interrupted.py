"""An erasure that breaks off at any of its statements is finished by whoever has the event next."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connections

from contexts.auth.contract import CustomerErased
from shop.events.handlers import Handler, handlers_of
from shop.services import acting_as
from shop.sharding.public_ids import number_of
from shop.sharding.readiness import all_aliases
from tests.privacy.people import Customer, Desk
from tests.privacy.stored import places_of

pytestmark = pytest.mark.django_db(databases=all_aliases(), transaction=True)

WORD = "umbrafex"
EACH = 5
"""Every so many statements one is the last."""


class Killed(BaseException):
    """What nobody catches: the process is gone, and its transaction with it."""


@contextmanager
def killed_at(statement: int) -> Iterator[list[str]]:
    """Let this thread live for so many statements more; the list is of those."""
    seen: list[str] = []

    def count(execute, sql, params, many, context):
        if len(seen) >= statement:
            raise Killed
        seen.append(sql)
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in all_aliases():
            stack.enter_context(connections[alias].execute_wrapper(count))
        yield seen


def handle(handler: Handler, customer_id: str) -> None:
    with acting_as(handler.context):
        handler.run(CustomerErased(customer_id=customer_id))


def survives(handler: Handler, customer_id: str, statement: int) -> bool:
    """Whether the handler came to its end within so many statements."""
    try:
        with killed_at(statement):
            handle(handler, customer_id)
    except Killed:
        return False
    return True


def broken_off(handler: Handler, desk: Desk, variant: str, statement: int) -> bool:
    """Erase a new customer, break the handler off, and let it come again; whether it had come to its end before."""
    word = f"{WORD}{statement}x"
    customer = Customer(word)
    customer.send("POST", "auth/me/addresses", customer.address)
    customer.send("PUT", f"ordering/cart/lines/{variant}", {"quantity": 1})
    customer.paid(variant)
    assert desk.ship(customer.paid(variant)).status == 201
    assert customer.erase().status == 204
    key = str(number_of("cus", customer.id))
    done = survives(handler, key, statement)
    for each in handlers_of(CustomerErased.topic()):
        handle(each, key)
    assert places_of(word) == {word: []}, statement
    return done


@pytest.mark.parametrize("context", ["auth", "catalog", "ordering"])
def test_it_is_finished_by_the_next_one(context, desk, settle, invariants):
    [handler] = [each for each in handlers_of(CustomerErased.topic()) if each.context == context]
    variant = desk.variant()
    statement = 0
    while not broken_off(handler, desk, variant, statement):
        statement += EACH
    assert statement > EACH
    settle()
    assert invariants() == []


def test_the_request_itself_takes_all_or_nothing(desk, settle):
    """Until its transaction has committed the account is whole; from then on the event does the rest."""
    statement, outcomes = 0, []
    while outcomes[-1:] != ["answered"]:
        word = f"{WORD}{statement}x"
        customer = Customer(word)
        customer.send("POST", "auth/me/addresses", customer.address)
        try:
            with killed_at(statement):
                status = customer.erase().status
        except Killed:
            anew = customer.send("POST", "auth/token", customer.who()).status
            outcomes.append({200: "whole", 401: "erased"}[anew])
        else:
            assert status == 204
            outcomes.append("answered")
        if outcomes[-1] == "whole":
            assert len(customer.send("GET", "auth/me/addresses").json["data"]) == 1
            assert customer.erase().status == 204
        settle()
        assert places_of(word) == {word: []}, statement
        statement += 1
    assert outcomes[0] == "whole"
    assert "erased" in outcomes
