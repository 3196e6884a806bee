"""Many at once: threads with connections and transactions of their own."""

from collections import Counter

import pytest
from django.test import Client

from contexts.auth.models import Customer
from contexts.auth.tests.people import (
    PASSWORD,
    at_once,
    post,
    refreshed,
    refusal,
    registered,
    signed_in,
    tokens_of,
)
from shop.sharding import aliases_of

pytestmark = pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)


def test_of_eight_who_register_one_address_at_once_one_gets_it(client):
    answers = at_once(8, lambda _: post(Client(), "register", email="ada@example.org", password=PASSWORD))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}
    assert {refusal(answer)[1] for answer in answers if answer.status_code == 409} == {"email_taken"}
    assert Customer.objects.filter(email="ada@example.org").across().count() == 1
    assert post(client, "token", email="ada@example.org", password=PASSWORD).status_code == 200


def test_eight_who_register_different_addresses_at_once_all_get_theirs():
    shown = at_once(8, lambda number: registered(Client(), f"person{number}@race.example"))
    assert len({customer["id"] for customer in shown}) == 8


def test_of_four_parallel_refreshes_of_one_token_one_wins_and_the_family_is_dead(client):
    tokens = signed_in(client)
    answers = at_once(4, lambda _: refreshed(Client(), tokens))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 3}
    assert {refusal(answer)[1] for answer in answers if answer.status_code == 401} == {"token_reused"}
    winner = next(tokens_of(answer) for answer in answers if answer.status_code == 200)
    assert refusal(refreshed(client, winner)) == (401, "token_invalid")


def test_logging_out_while_refreshing_ends_the_sign_in_whoever_is_first(client):
    tokens = signed_in(client)

    def act(number):
        return post(Client(), ("token/refresh", "token/revoke")[number % 2], refresh=tokens["refresh"])

    answers = at_once(2, act)
    assert answers[1].status_code == 204
    alive = tokens_of(answers[0]) if answers[0].status_code == 200 else tokens
    assert refusal(refreshed(client, alive)) == (401, "token_invalid")
