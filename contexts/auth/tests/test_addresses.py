"""Stories of the address book: `GET/POST /me/addresses`, `PATCH/DELETE /me/addresses/{id}`."""

from collections import Counter

import pytest
from django.db import connections
from django.test import Client

from contexts.auth import domain, services
from contexts.auth.models import Address
from contexts.auth.services import addresses
from contexts.auth.tests.people import at_once, bearing, refusal, signed_in, staff, staff_signed_in
from shop.contract import NotFoundError
from shop.gateway.tokens import verify
from shop.sharding import aliases_of, bucket_of
from shop.sharding.public_ids import number_of, public_id
from tests.plugin import bearer, make_principal

BOOK = "/api/v1/auth/me/addresses"
HOME = {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH"}
HOME |= {"country": "GB"}


class Book:
    """The address book of one customer, over HTTP."""

    def __init__(self, client, tokens=None):
        self.client, self.tokens = client, tokens or signed_in(client)

    def call(self, method, path="", body=None, **headers):
        sent = {"data": body, "content_type": "application/json"} if body is not None else {}
        headers = {**bearing(self.tokens), **headers}
        return getattr(self.client, method)(BOOK + path, **sent, headers=headers)

    def add(self, key="", **changes):
        return self.call("post", body=HOME | changes, **({"Idempotency-Key": key} if key else {}))

    def added(self, **changes):
        answer = self.add(**changes)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def change(self, address_id, **changes):
        return self.call("patch", f"/{address_id}", changes)

    def remove(self, address_id):
        return self.call("delete", f"/{address_id}")

    def shown(self):
        return self.call("get", "?limit=100").json()["data"]


@pytest.fixture
def book(client):
    return Book(client)


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


# ---- entering and seeing


def test_an_address_that_was_entered_is_in_the_book_as_it_was_sent(book):
    answer = book.add(line2="2nd floor", region="Westminster")
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    entered = answer.json()
    assert entered == {"id": entered["id"], **HOME, "line2": "2nd floor", "region": "Westminster"}
    assert entered["id"].startswith("adr_")
    assert book.call("get").json() == {"data": [entered], "next_cursor": None}


@pytest.mark.parametrize("optional", [{}, {"line2": None, "region": None}])
def test_what_may_be_left_out_is_shown_as_null(book, optional):
    entered = book.added(**optional)
    assert (entered["line2"], entered["region"]) == (None, None)


def test_blanks_around_a_text_are_dropped(book):
    assert book.added(city="  London\t")["city"] == "London"


def test_an_empty_book_is_an_empty_list(book):
    answer = book.call("get")
    assert (answer.status_code, answer.json()) == (200, {"data": [], "next_cursor": None})
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_address_lies_in_its_customers_bucket(book):
    number = number_of("adr", book.added()["id"])
    customer_id = verify(book.tokens["access"]).key
    assert bucket_of(number) == bucket_of(customer_id)
    assert Address.objects.get(pk=number).customer_id == customer_id


def test_pages_are_newest_first_and_neither_repeat_nor_lose_an_address(book):
    ids = [book.added()["id"] for _ in range(5)]
    query, seen = "?limit=2", []
    while query:
        page = book.call("get", query).json()
        seen.append([address["id"] for address in page["data"]])
        book.added()  # what comes in between belongs to no page behind the first
        query = page["next_cursor"] and f"?limit=2&cursor={page['next_cursor']}"
    assert seen == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


def test_a_page_takes_as_many_statements_whether_the_book_is_short_or_long(book, django_assert_num_queries):
    shard = Address.objects.get(pk=number_of("adr", book.added()["id"]))._state.db
    for _ in range(2):
        with django_assert_num_queries(1, connection=connections[shard]):
            book.shown()
        for _ in range(9):
            book.added()


# ---- changing and removing


def test_a_change_touches_what_it_names_and_nothing_else(book):
    entered, other = book.added(line2="2nd floor"), book.added()
    answer = book.change(entered["id"], city="Paris", country="FR")
    assert (answer.status_code, answer.json()) == (200, entered | {"city": "Paris", "country": "FR"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert book.shown() == [other, answer.json()]


@pytest.mark.parametrize("field", ["line2", "region"])
def test_null_takes_away_what_may_be_left_out(book, field):
    entered = book.added(line2="2nd floor", region="Westminster")
    assert book.change(entered["id"], **{field: None}).json() == entered | {field: None}


def test_an_empty_change_changes_nothing(book):
    entered = book.added(line2="2nd floor")
    answer = book.change(entered["id"])
    assert (answer.status_code, answer.json()) == (200, entered)


def test_a_removed_address_is_gone(book):
    entered, other = book.added(), book.added()
    answer = book.remove(entered["id"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert book.shown() == [other]
    assert refusal(book.remove(entered["id"])) == (404, "not_found")
    assert refusal(book.change(entered["id"], city="Paris")) == (404, "not_found")


# ---- what is refused


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, ("name", "blank")),
        ({"line1": " \t "}, ("line1", "blank")),
        ({"line2": ""}, ("line2", "blank")),
        ({"city": None}, ("city", "null")),
        ({"city": 7}, ("city", "invalid")),
        ({"city": ["London"]}, ("city", "invalid")),
        ({"region": {"a": 1}}, ("region", "invalid")),
        ({"name": True}, ("name", "invalid")),
        ({"name": "n" * 201}, ("name", "max_length")),
        ({"line2": "é" * 201}, ("line2", "max_length")),
        ({"postal_code": "1" * 21}, ("postal_code", "max_length")),
        ({"country": "XX"}, ("country", "invalid")),
        ({"country": "gb"}, ("country", "invalid")),
        ({"country": "GBR"}, ("country", "invalid")),
        ({"country": "\uff27\uff22"}, ("country", "invalid")),
        ({"country": ""}, ("country", "invalid")),
        ({"country": None}, ("country", "null")),
        ({"id": "adr_1"}, ("id", "unknown_field")),
        ({"customer_id": 1}, ("customer_id", "unknown_field")),
        ({"customer": 1}, ("customer", "unknown_field")),
        ({"created_at": "2020-01-01T00:00:00Z"}, ("created_at", "unknown_field")),
    ],
)
def test_a_field_that_is_not_as_documented_is_refused_and_nothing_is_changed(book, changes, fault):
    entered = book.added()
    for answer in (book.add(**changes), book.change(entered["id"], **changes)):
        assert refusal(answer) == (422, "unknown_field" if fault[1] == "unknown_field" else "invalid")
        assert faults(answer) == [fault]
    assert book.shown() == [entered]


@pytest.mark.parametrize("field", HOME)
def test_a_field_that_is_needed_is_asked_for(book, field):
    answer = book.call("post", body={name: text for name, text in HOME.items() if name != field})
    assert refusal(answer) == (422, "invalid")
    assert faults(answer) == [(field, "required")]


@pytest.mark.parametrize("body", ["[]", "null", "7", '"text"'])
def test_a_body_that_is_no_object_is_refused(book, body):
    entered = book.added()
    for method, path in (("post", ""), ("patch", f"/{entered['id']}")):
        assert refusal(book.call(method, path, body)) == (422, "invalid")


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800"])
def test_a_text_that_no_database_stores_is_refused(book, text):
    body = f'{{"city": "{text}"}}'
    assert refusal(book.call("post", body=body)) == (400, "malformed_json")
    assert refusal(book.call("patch", f"/{book.added()['id']}", body)) == (400, "malformed_json")


def test_texts_of_every_script_come_back_as_they_were(book):
    odd = {
        "name": "Łukasz 张伟 👩‍🚀",
        "line1": "'; DROP TABLE shop_auth_address; --",
        "line2": '%_\\"<b>',
        "city": "م" * 200,
    }
    entered = book.added(**odd)
    assert {name: entered[name] for name in odd} == odd
    assert book.shown() == [entered]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=-1", "limit=x", "limit="])
def test_a_limit_out_of_range_is_refused(book, query):
    answer = book.call("get", f"?{query}")
    assert refusal(answer)[0] == 422
    assert faults(answer) == [("limit", "out_of_range")]


def test_a_damaged_cursor_and_one_of_somebody_else_are_refused(book, client):
    for _ in range(2):
        book.added()
    cursor = book.call("get", "?limit=1").json()["next_cursor"]
    for reader, given in ((book, cursor[:-1]), (book, ""), (book, "%00"), (Book(client), cursor)):
        assert refusal(reader.call("get", f"?cursor={given}")) == (422, "invalid_cursor")


def test_a_full_book_takes_no_more_until_something_is_removed(book, monkeypatch):
    assert domain.MAX_ADDRESSES == 100
    monkeypatch.setattr(addresses, "MAX_ADDRESSES", 2)
    first, _ = book.added(), book.added()
    refused = book.add()
    assert refusal(refused) == (422, "invalid")
    assert faults(refused) == [("", "out_of_range")]
    assert book.change(first["id"], city="Paris").status_code == 200
    book.remove(first["id"])
    assert book.add().status_code == 201


# ---- whose it is


def test_nobody_sees_changes_or_removes_anybody_elses_address(book, client):
    entered = book.added()
    for _ in range(6):  # strangers on either shard
        stranger = Book(client)
        assert stranger.shown() == []
        assert refusal(stranger.change(entered["id"], city="Paris")) == (404, "not_found")
        assert refusal(stranger.change(entered["id"])) == (404, "not_found")
        assert refusal(stranger.remove(entered["id"])) == (404, "not_found")
    assert book.shown() == [entered]


def test_a_neighbour_in_the_same_bucket_is_a_stranger_too(book):
    entered = book.added()
    number, customer_id = number_of("adr", entered["id"]), verify(book.tokens["access"]).key
    neighbour = {"address_id": number, "customer_id": customer_id + 1}
    assert bucket_of(neighbour["customer_id"]) == bucket_of(number)
    with pytest.raises(NotFoundError):
        addresses.change_address(**neighbour, fields={"city": "Paris"})
    with pytest.raises(NotFoundError):
        addresses.remove_address(**neighbour)
    assert book.shown() == [entered]


def test_a_damaged_id_or_one_of_another_type_is_not_found(book):
    number = number_of("adr", book.added()["id"])
    damaged = [public_id(kind, number) for kind in ("cus", "ord", "fam", "")]
    damaged += [str(number), "adr_", "adr_0", public_id("adr", number).lower(), public_id("adr", number) + "0", "%00"]
    damaged += [public_id("adr", number + 1), "-1", "9" * 400, "é"]
    for text in damaged:
        assert refusal(book.change(text, city="Paris")) == (404, "not_found")
        assert refusal(book.remove(text)) == (404, "not_found")


def test_nobody_and_staff_have_no_book(client):
    clerk = staff_signed_in(client, staff(is_superuser=True))
    for headers, expected in (({}, (401, "not_authenticated")), (bearing(clerk), (403, "forbidden"))):
        for method, path in (("get", ""), ("post", ""), ("patch", "/adr_x"), ("delete", "/adr_x")):
            sent = {"data": HOME, "content_type": "application/json"} if method in ("post", "patch") else {}
            assert refusal(getattr(client, method)(BOOK + path, headers=headers, **sent)) == expected


def test_an_account_that_is_gone_enters_nothing(client):
    gone = bearer(make_principal())
    answer = client.post(BOOK, HOME, content_type="application/json", **gone)
    assert refusal(answer) == (401, "token_invalid")
    assert Address.objects.all().across().count() == 0


def test_another_method_is_refused_by_name(book):
    assert book.call("put", body=HOME).headers["Allow"] == "GET, HEAD, POST"
    answer = book.call("get", f"/{book.added()['id']}")
    assert refusal(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "DELETE, PATCH"


# ---- Idempotency-Key


def test_the_same_request_under_the_same_key_enters_one_address(book):
    first, again = book.add("home"), book.add("home")
    assert (again.status_code, again.content) == (201, first.content)
    assert (first.has_header("Idempotent-Replay"), again.headers["Idempotent-Replay"]) == (False, "true")
    assert book.shown() == [first.json()]


def test_another_request_under_the_same_key_is_refused(book):
    first = book.add("home")
    assert refusal(book.add("home", city="Paris")) == (422, "idempotency_key_reused")
    assert book.shown() == [first.json()]


def test_a_second_attempt_finds_what_the_first_one_made(book):
    """The first one's process ended before its answer was kept; the next comes under the same ID."""
    entered = book.added()
    customer_id = verify(book.tokens["access"]).key
    made = addresses.add_address(
        address_id=number_of("adr", entered["id"]),
        customer_id=customer_id,
        fields=HOME,
        within_effect=lambda _: None,
    )
    assert public_id("adr", made.id) == entered["id"]
    assert book.shown() == [entered]


@pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)
def test_the_answer_is_kept_with_the_address_so_what_fails_behind_it_does_no_harm(book, monkeypatch):
    add = services.add_address

    def add_and_fail(**arguments):
        add(**arguments)
        raise RuntimeError("too late")

    with monkeypatch.context() as patched:
        patched.setattr(services, "add_address", add_and_fail)
        first = book.add("home")
    again = book.add("home")
    assert (first.status_code, again.content) == (201, first.content)
    assert book.shown() == [first.json()]


def test_without_a_key_every_request_enters_an_address(book):
    assert book.added()["id"] != book.added()["id"]


# ---- many at once


@pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)
def test_of_eight_at_once_only_as_many_get_in_as_the_book_has_room_for(book, monkeypatch):
    monkeypatch.setattr(addresses, "MAX_ADDRESSES", 3)
    answers = at_once(8, lambda _: Book(Client(), book.tokens).add())
    assert Counter(answer.status_code for answer in answers) == {201: 3, 422: 5}
    assert len(book.shown()) == 3


@pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)
def test_of_eight_at_once_under_one_key_one_address_comes(book):
    answers = at_once(8, lambda _: Book(Client(), book.tokens).add("home"))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(book.shown()) == 1


@pytest.mark.django_db(databases=aliases_of("auth"), transaction=True)
def test_of_four_who_remove_one_address_at_once_one_does(book):
    entered = book.added()
    answers = at_once(4, lambda _: Book(Client(), book.tokens).remove(entered["id"]))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 3}
