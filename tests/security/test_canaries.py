"""Secrets and personal data are sent on every way there is, the failing ones too, and then looked for where they must
not be: in the log, in the metrics, in problems to others, in the headers of events.
"""

import json
from collections.abc import Sequence

import pytest
from django.db import DatabaseError
from django.test import Client

from contexts.catalog.contract import CatalogService, Offer
from contexts.catalog.services import Catalog
from contexts.ordering import services as ordering
from shop.events import relay
from shop.events.handlers import handlers_of
from shop.events.jobs import Job, run_job
from shop.events.models import InboxEntry, OutboxEvent
from shop.observability import figures
from shop.services import substitute
from shop.sharding.readiness import all_aliases
from shop.staff.models import StaffUser
from tests.logged import everything_logged
from tests.plugin import bearer, make_principal

pytestmark = pytest.mark.django_db(databases=all_aliases(), transaction=True)

JSON = "application/json"
EMAIL = "canary.mail@example.org"
PASSWORD = "canary-password-0123"
NAME = "Canary Nightingale"
LINE = "13 Canary Wharf"
CITY = "Canaryville"
POSTCODE = "CAN4RY"
KEY = "canary-idempotency-key"
PAYMENT_TOKEN = "tok_canary"
BODY_TEXT = "canary-body-text"
QUERY = "canary-query"
AGENT = "canary-agent"
CANARIES = (EMAIL, PASSWORD, NAME, LINE, CITY, POSTCODE, KEY, PAYMENT_TOKEN, BODY_TEXT, QUERY, AGENT, "canary")
ADDRESS = {"name": NAME, "line1": LINE, "city": CITY, "postal_code": POSTCODE, "country": "GB"}


@pytest.fixture
def log(monkeypatch):
    """Everything that is logged, as it would be written."""
    monkeypatch.setattr(figures.board, "renew", lambda: None)
    with everything_logged() as written:
        yield written


class Person:
    """Sends requests full of canaries, and remembers every token it was given."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        self.secrets: list[str] = []
        self.statuses: set[int] = set()
        self.others: list[bytes] = []
        """Answers that tell a stranger something."""

    def send(self, method, path, body=None, headers=None, *, key=KEY, content_type=JSON):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"HTTP_USER_AGENT": AGENT, "HTTP_IDEMPOTENCY_KEY": key, **(headers or {})}
        answer = self.client.generic(method, f"{path}?q={QUERY}", data, content_type=content_type, **given)
        self.statuses.add(answer.status_code)
        if "HTTP_AUTHORIZATION" in given:
            self.secrets.append(given["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        if answer.status_code >= 400:
            self.others.append(answer.content)
        return answer

    def sign_in(self):
        who = {"email": EMAIL, "password": PASSWORD}
        self.send("POST", "/api/v1/auth/register", {**who, "name": NAME})
        self.send("POST", "/api/v1/auth/register", who)
        self.send("POST", "/api/v1/auth/token", {**who, "password": PASSWORD + "x"})
        tokens = self.send("POST", "/api/v1/auth/token", who).json()
        again = self.send("POST", "/api/v1/auth/token/refresh", {"refresh": tokens["refresh"]}).json()
        self.send("POST", "/api/v1/auth/token/refresh", {"refresh": tokens["refresh"]})
        self.secrets += [tokens["access"], tokens["refresh"], again["access"], again["refresh"]]
        return {"HTTP_AUTHORIZATION": f"Bearer {tokens['access']}"}


def variant_for_sale(person):
    staff = bearer(make_principal("staff", "superuser"))
    person.secrets.append(staff["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
    category = person.client.post("/api/v1/catalog/categories", {"name": "Cups"}, content_type=JSON, **staff).json()
    body = {
        "name": "Cup",
        "category_id": category["id"],
        "variants": [{"sku": "C1", "price": {"amount": 100, "currency": "EUR"}, "stock": 9}],
    }
    made = person.client.post(
        "/api/v1/catalog/products", body, content_type=JSON, HTTP_IDEMPOTENCY_KEY=KEY, **staff
    ).json()
    return made["variants"][0]["id"]


def send_what_is_refused(person, me):
    bad = {"HTTP_AUTHORIZATION": "Bearer canary.access.token"}
    person.send("POST", "/api/v1/ordering/orders", BODY_TEXT.encode(), me)
    person.send("POST", "/api/v1/ordering/orders", BODY_TEXT.encode(), me, content_type=f"text/{BODY_TEXT}")
    person.send("POST", "/api/v1/ordering/orders", b" " * ((1 << 20) + 1), me)
    person.send("PUT", "/api/v1/auth/me", {"name": NAME}, me)
    person.send("GET", "/api/v1/auth/me", headers=bad)
    person.send("GET", "/api/v1/auth/me", headers={"HTTP_AUTHORIZATION": f"Basic {PASSWORD}"})
    person.send("GET", "/api/v1/catalog/variants/var_x/stock", headers=me)
    person.send("GET", f"/{BODY_TEXT}/{EMAIL}")
    person.send("GET", f"/static/{BODY_TEXT}")
    person.send("GET", f"/api/v1/ordering/orders/{BODY_TEXT}", headers=me)
    person.send("GET", "/livez", headers={"HTTP_HOST": f"{BODY_TEXT}.example"})
    person.send("POST", "/admin/login/", f"username={EMAIL}&password={PASSWORD}".encode(), content_type="text/plain")
    person.send("POST", "/api/v1/auth/me/password", {"current_password": PASSWORD, "new_password": "canary"}, me)


def look_everywhere(person, log):
    """No canary and no token in what others can see."""
    metrics = person.client.get("/metrics").content.decode()
    headers = [
        repr(row)
        for alias in all_aliases()
        for row in OutboxEvent.objects.using(alias).values_list("topic", "key", "traceparent", "actor", "causation")
    ]
    reasons = [
        repr(row)
        for alias in all_aliases()
        for row in InboxEntry.objects.using(alias).values_list("handler", "key", "reason")
    ]
    places = {"log": log.getvalue(), "metrics": metrics, "event headers": "".join(headers), "inbox": "".join(reasons)}
    problems = b"".join(person.others).decode()
    assert '"event": "request"' in places["log"]
    for place, text in places.items():
        for canary in (*CANARIES, *person.secrets):
            assert canary.lower() not in text.lower(), f"{canary} in the {place}"
    for canary in (PASSWORD, EMAIL, PAYMENT_TOKEN, *person.secrets):
        assert canary not in problems, f"{canary} in a problem"


def test_of_what_succeeds_and_what_is_refused(log, deliver_events):
    # given somebody who registers, signs in and writes down an address
    person = Person()
    variant = variant_for_sale(person)
    me = person.sign_in()
    person.send("POST", "/api/v1/auth/me/addresses", ADDRESS, me)
    person.send("PATCH", "/api/v1/auth/me", {"name": NAME}, me)
    # who orders and pays, well and badly
    body = {"lines": [{"variant_id": variant, "quantity": 1}], "shipping_address": ADDRESS}
    order = person.send("POST", "/api/v1/ordering/orders", body, me).json()["id"]
    person.send("POST", "/api/v1/ordering/orders", {**body, "expected_total": {"amount": 1, "currency": "EUR"}}, me)
    person.send("POST", "/api/v1/ordering/orders", {**body, "note": BODY_TEXT}, me, key=KEY + "2")
    for number, token in enumerate((PAYMENT_TOKEN, "tok_declined", "tok_ok")):
        pay = {"provider": "fake", "token": token}
        person.send("POST", f"/api/v1/ordering/orders/{order}/payments", pay, me, key=f"{KEY}-{number}")
    person.send("POST", f"/api/v1/ordering/orders/{order}/cancel", {"reason": BODY_TEXT}, me, key=KEY + "3")
    # and sends what can't be read, or is not for them
    send_what_is_refused(person, me)
    deliver_events()
    # then nobody reads of it
    assert {200, 201, 400, 401, 402, 403, 404, 405, 409, 413, 415, 422} <= person.statuses
    look_everywhere(person, log)


class Broken(Catalog):
    """A catalog with a bug that quotes what it was given."""

    def offers(self, *, variant_ids: Sequence[str]) -> tuple[Offer, ...]:
        raise ValueError(f"no such address: '{EMAIL}', {NAME!r}\n{LINE}")


@pytest.mark.parametrize("way", ["local", "loopback"])
def test_of_a_service_that_fails(way, log, settings):
    settings.SERVICE_TRANSPORT = way
    person = Person()
    variant = variant_for_sale(person)
    me = person.sign_in()
    with substitute(CatalogService, Broken()):
        person.send("PUT", f"/api/v1/ordering/cart/lines/{variant}", {"quantity": 1}, me)
    assert 500 in person.statuses
    look_everywhere(person, log)


def _twice_the_same(*_: object, **__: object) -> None:
    """The database's own words: PostgreSQL quotes the row."""
    for _number in range(2):
        StaffUser.objects.using("auth_0").create(id=_number + 1, email=EMAIL, password=PASSWORD, name=NAME)


def _not_a_number(*_: object, **__: object) -> None:
    int(PASSWORD)


def _unknown(*_: object, **__: object) -> None:
    raise KeyError(EMAIL)


def _no_connection(*_: object, **__: object) -> None:
    raise DatabaseError(f'connection to "{PASSWORD}" failed: user "{EMAIL}"')


BUGS = [_twice_the_same, _not_a_number, _unknown, _no_connection]


@pytest.mark.parametrize("bug", BUGS)
def test_of_a_use_case_that_fails(bug, log, monkeypatch):
    person = Person()
    me = person.sign_in()
    monkeypatch.setattr("contexts.auth.services.rename", bug)
    answer = person.send("PATCH", "/api/v1/auth/me", {"name": NAME}, me)
    assert answer.status_code in {500, 503}
    look_everywhere(person, log)
    assert '"unhandled_error"' in log.getvalue()


@pytest.mark.parametrize("bug", BUGS)
def test_of_a_handler_and_a_job_that_fail(bug, log, monkeypatch):
    # given an order that is paid
    person = Person()
    variant = variant_for_sale(person)
    me = person.sign_in()
    body = {"lines": [{"variant_id": variant, "quantity": 1}], "shipping_address": ADDRESS}
    order = person.send("POST", "/api/v1/ordering/orders", body, me).json()["id"]
    pay = {"provider": "fake", "token": "tok_ok"}
    assert person.send("POST", f"/api/v1/ordering/orders/{order}/payments", pay, me, key=KEY + "1").status_code == 201
    # when what handles it fails, and a job too
    monkeypatch.setattr(ordering, "commit_stock", bug)
    for alias in all_aliases():
        relay.relay(alias)
    assert handlers_of("ordering.order_placed.v1")
    assert not run_job(Job(name="auth.broken", context="auth", seconds=1, run=bug))
    # then the log tells that, and no more
    assert '"event_failed"' in log.getvalue()
    assert '"job_failed"' in log.getvalue()
    look_everywhere(person, log)
