"""However a sign-in ends, its access tokens are refused by every context that has heard of it."""

import pytest
from django.test import Client

from contexts.auth.tests.people import PASSWORD, bearing, post, refreshed, registered, staff, tokens_of
from shop.gateway.models import RevokedSession
from shop.gateway.revocation import deny_list
from shop.gateway.tokens import verify
from shop.sharding import home_of, hosted_contexts
from shop.sharding.readiness import all_aliases
from shop.sharding.router import staff_home

pytestmark = pytest.mark.django_db(databases=all_aliases())


def log_out(client, tokens):
    return post(client, "token/revoke", refresh=tokens["refresh"]).status_code


def change_password(client, tokens):
    body = {"current_password": PASSWORD, "new_password": "a horse of another colour"}
    path = "/api/v1/auth/me/password"
    return client.post(path, body, content_type="application/json", headers=bearing(tokens)).status_code


def use_a_refresh_token_twice(client, tokens):
    assert refreshed(client, tokens).status_code == 200
    return refreshed(client, tokens).status_code


ENDS = [(log_out, 204), (change_password, 204), (use_a_refresh_token_twice, 401)]


def asked(client, tokens):
    """Status and code of what a context each answers."""
    paths = ("auth/me", "catalog/products", "ordering/orders")
    answers = [client.get(f"/api/v1/{path}", headers=bearing(tokens)) for path in paths]
    return [(each.status_code, each.json().get("code")) for each in answers]


def look():
    for context in hosted_contexts():
        deny_list.look(context)


@pytest.mark.parametrize(("end", "status"), ENDS, ids=lambda each: getattr(each, "__name__", ""))
def test_its_access_token_is_refused_everywhere_and_nobody_elses(end, status, deliver_events):
    # given two customers
    client = Client()
    emails = [registered(client)["email"] for _ in range(2)]
    mine, others = (tokens_of(post(client, "token", email=email, password=PASSWORD)) for email in emails)
    # when one sign-in ends, and that was told
    assert end(client, mine) == status
    deliver_events()
    look()
    # then its access token is good for nothing
    assert asked(client, mine) == [(401, "token_invalid")] * 3
    assert [code for code, _ in asked(client, others)] == [200] * 3


def switch_off(account):
    account.is_active = False
    account.save()


def give_another_password(account):
    account.set_password("a horse of another colour")
    account.save()


def take_the_password(account):
    account.set_unusable_password()
    account.save()


@pytest.mark.parametrize("lock_out", [switch_off, give_another_password, take_the_password])
def test_staff_who_are_locked_out_are_refused_everywhere(lock_out, deliver_events, django_capture_on_commit_callbacks):
    client, accounts = Client(), [staff("order_desk"), staff("order_desk")]
    mine, others = (tokens_of(post(client, "staff/token", email=each.email, password=PASSWORD)) for each in accounts)
    # when
    with django_capture_on_commit_callbacks(using=staff_home(), execute=True):
        lock_out(accounts[0])
    deliver_events()
    look()
    # then
    assert asked(client, mine) == [(401, "token_invalid")] * 3
    assert refreshed(client, mine).status_code == 401
    assert (401, "token_invalid") not in asked(client, others)


def test_a_change_that_locks_nobody_out_ends_no_sign_in(django_capture_on_commit_callbacks):
    account = staff("order_desk")
    account.name = "Grace"
    with django_capture_on_commit_callbacks(using=staff_home()) as called:
        account.save()
    assert called == []


def test_it_stands_at_the_home_of_every_context(deliver_events):
    client = Client()
    account = staff("order_desk")
    tokens = tokens_of(post(client, "staff/token", email=account.email, password=PASSWORD))
    log_out(client, tokens)
    deliver_events()
    session = verify(tokens["access"]).session_id
    for context in hosted_contexts():
        assert RevokedSession.objects.using(home_of(context)).filter(session_id=session).exists(), context
