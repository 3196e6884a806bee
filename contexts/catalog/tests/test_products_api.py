"""Products over HTTP: made by editors, listed and read by everybody."""

import json

import pytest
from django.db import DatabaseError, OperationalError

from contexts.catalog.models import Product, Variant
from contexts.catalog.services import products
from contexts.catalog.services.errors import SkuTakenError
from contexts.catalog.tests.factories import (
    archive,
    assert_the_books_balance,
    at_once,
    category_on,
    movements,
    variant_on,
)
from shop.contract import Money, UnavailableError
from shop.events.models import OutboxEvent
from shop.sharding import aliases_of, new_id, unique
from shop.sharding.models import UniqueValue
from shop.sharding.public_ids import number_of, public_id
from tests.capturing import statements_on_shards
from tests.plugin import bearer, make_principal
from tests.shards import SHARDS

URL = "/api/v1/catalog/products"


@pytest.fixture
def editor():
    return bearer(make_principal("staff", "catalog_editor"))


@pytest.fixture(params=[0, 1], ids=["first shard", "second shard"])
def shelf(request):
    """A category's public ID."""
    return public_id("cat", category_on(request.param).id)


@pytest.fixture
def post(client, editor):
    keys = iter(range(10_000))

    def send(body, **headers):
        given = {**editor, "HTTP_IDEMPOTENCY_KEY": f"key-{next(keys)}", **headers}
        return client.post(URL, json.dumps(body), content_type="application/json", **given)

    return send


def mug(shelf, *skus, **more):
    variants = [{"sku": sku, "price": {"amount": 1299, "currency": "EUR"}} for sku in skus or ("MUG",)]
    return {"name": "Mug", "category_id": shelf, "variants": variants, **more}


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


def ids(answer):
    return [product["id"] for product in answer.json()["data"]]


# ---- making --------------------------------------------------------------------------------------------------


def test_an_editor_makes_a_product_with_variants_and_stock(post, client, shelf):
    body = mug(shelf, description="For tea.", attributes={"material": "clay", "dishwasher": True})
    body["variants"] = [
        {"sku": "MUG-M", "price": {"amount": 1299, "currency": "EUR"}, "options": {"size": "M"}, "stock": 7},
        {"sku": "MUG-L", "price": {"amount": 1499, "currency": "EUR"}, "options": {"size": "L"}},
    ]
    answer = post(body)
    made = answer.json()
    # then the answer holds every promised field and what was asked for
    assert answer.status_code == 201
    assert set(made) == {
        *("id", "name", "description", "category_id", "status", "attributes", "image_url"),
        *("variants", "created_at", "updated_at"),
    }
    assert (made["status"], made["description"], made["category_id"]) == ("active", "For tea.", shelf)
    assert made["attributes"] == {"material": "clay", "dishwasher": True}
    assert [(each["sku"], each["options"], each["price"]["amount"]) for each in made["variants"]] == [
        ("MUG-M", {"size": "M"}, 1299),
        ("MUG-L", {"size": "L"}, 1499),
    ]
    assert [each["available"] for each in made["variants"]] == [7, 0]
    assert {each["product_id"] for each in made["variants"]} == {made["id"]}
    # and everybody reads the same
    assert client.get(f"{URL}/{made['id']}").json() == made


def test_first_stock_is_written_down_as_received(post, shelf):
    body = mug(shelf, "A", "B")
    body["variants"][0]["stock"] = 7
    first, second = (number_of("var", each["id"]) for each in post(body).json()["variants"])
    assert (movements(first), movements(second)) == ([("received", 7, 7)], [])
    assert_the_books_balance()


def test_a_new_product_is_told(post, shelf):
    product = number_of("prd", post(mug(shelf)).json()["id"])
    told = [row for alias in aliases_of("catalog") for row in OutboxEvent.objects.using(alias)]
    assert [(row.topic, row.key, row.event_seq) for row in told] == [("catalog.product_changed.v1", str(product), 1)]


def test_a_sku_is_taken_once_over_all_shards_and_the_field_is_named(post, shelf):
    post(mug(shelf, "A"))
    for shard in (0, 1):
        elsewhere = public_id("cat", category_on(shard).id)
        answer = post(mug(elsewhere, "NEW", "a"))
        assert (answer.status_code, answer.json()["code"]) == (409, "sku_taken")
        assert faults(answer) == [("variants.1.sku", "sku_taken")]
    # and what was free among them stays free
    assert post(mug(shelf, "NEW")).status_code == 201


def test_an_unknown_category_is_not_found(post):
    answer = post(mug(public_id("cat", new_id("catalog"))))
    assert (answer.status_code, answer.json()["code"]) == (404, "category_not_found")
    assert faults(answer) == [("category_id", "category_not_found")]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": " "}, ("name", "blank")),
        ({"name": "x" * 201}, ("name", "max_length")),
        ({"category_id": "prd_00000000000000"}, ("category_id", "invalid_id")),
        ({"category_id": 5}, ("category_id", "invalid_id")),
        ({"variants": []}, ("variants", "empty")),
        ({"variants": "MUG"}, ("variants", "not_a_list")),
        ({"variants": [5]}, ("variants.0", "not_an_object")),
        ({"variants": [{"sku": "A"}]}, ("variants.0.price", "required")),
        ({"status": "archived"}, ("status", "invalid_choice")),
        ({"attributes": []}, ("attributes", "not_a_dict")),
        ({"colour": "red"}, ("colour", "unknown_field")),
        ({"image_url": "http://x.example/"}, ("image_url", "unknown_field")),
    ],
)
def test_a_body_at_fault_is_named_field_by_field(post, change, fault):
    shelf = public_id("cat", new_id("catalog"))
    answer = post({**mug(shelf), **change})
    named = fault[1] if fault[1] in ("unknown_field", "invalid_id") else "invalid"
    assert (answer.status_code, answer.json()["code"]) == (422, named)
    assert faults(answer) == [fault]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sku": ""}, ("variants.0.sku", "blank")),
        ({"sku": "x" * 65}, ("variants.0.sku", "max_length")),
        ({"stock": -1}, ("variants.0.stock", "min_value")),
        ({"stock": 10**9 + 1}, ("variants.0.stock", "max_value")),
        ({"stock": 1.5}, ("variants.0.stock", "invalid")),
        ({"price": {"amount": 0, "currency": "EUR"}}, ("variants.0.price.amount", "min_value")),
        ({"price": {"amount": 10**12 + 1, "currency": "EUR"}}, ("variants.0.price.amount", "max_value")),
        ({"price": {"amount": 5, "currency": "eur"}}, ("variants.0.price.currency", "invalid")),
        ({"price": 5}, ("variants.0.price", "not_an_object")),
        ({"options": {"size": ["M"]}}, ("variants.0.options.size", "invalid")),
        ({"weight": 5}, ("variants.0.weight", "unknown_field")),
    ],
)
def test_a_variant_at_fault_is_named_with_its_place(post, change, fault):
    body = mug(public_id("cat", new_id("catalog")))
    body["variants"][0] |= change
    answer = post(body)
    assert answer.status_code == 422
    assert faults(answer) == [fault]


def test_a_sku_twice_in_one_body_is_a_fault_of_the_body(post, shelf):
    answer = post(mug(shelf, "A", "B", "a"))
    assert (answer.status_code, faults(answer)) == (422, [("variants.2.sku", "duplicate_sku")])


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (dict, 401, "not_authenticated"),
        (lambda: {"HTTP_AUTHORIZATION": "Bearer nonsense"}, 401, "token_invalid"),
        (lambda: bearer(make_principal("customer")), 403, "forbidden"),
        (lambda: bearer(make_principal("staff", "read_only")), 403, "forbidden"),
        (lambda: bearer(make_principal("staff", "catalog_editor")), 400, "idempotency_key_required"),
    ],
    ids=["nobody", "nonsense", "customer", "read only", "no key"],
)
def test_only_editors_with_a_key_make_products(client, headers, status, code):
    answer = client.post(URL, "{}", content_type="application/json", **headers())
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# ---- the key, and crashes ------------------------------------------------------------------------------------


def test_the_same_key_gives_the_first_answer_byte_for_byte(post, shelf):
    first = post(mug(shelf), HTTP_IDEMPOTENCY_KEY="k")
    again = post(mug(shelf), HTTP_IDEMPOTENCY_KEY="k")
    assert (again.status_code, again.content, again["ETag"]) == (201, first.content, first["ETag"])
    assert again["Idempotent-Replay"] == "true"


def test_the_same_key_with_another_body_is_refused(post, shelf):
    post(mug(shelf), HTTP_IDEMPOTENCY_KEY="k")
    answer = post(mug(shelf, "OTHER"), HTTP_IDEMPOTENCY_KEY="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def draft(shard, *skus):
    price = Money(amount=100, currency="EUR")
    variants = [products.VariantDraft(sku=sku, price=price, stock=3) for sku in skus]
    return products.ProductDraft(name="Mug", category_id=category_on(shard).id, variants=variants)


@pytest.mark.parametrize("shard", [0, 1])
def test_a_repetition_after_a_crash_behind_the_effect_finds_its_product(shard, monkeypatch):
    asked, request_id = draft(shard, "A", "B"), new_id("catalog")
    # given an attempt that died before it confirmed its SKUs
    monkeypatch.setattr(unique, "confirm", fail)
    with pytest.raises(ZeroDivisionError):
        products.create_product(asked, request_id=request_id)
    monkeypatch.undo()
    # when it is repeated
    found = products.create_product(asked, request_id=request_id)
    # then there is one product with its stock once, and the SKUs are nobody else's
    assert [each.available for each in found.variants] == [3, 3]
    assert Product.objects.across().count() == 1
    with pytest.raises(SkuTakenError):
        products.create_product(draft(shard, "A"))


def test_a_crash_before_the_effect_leaves_the_skus_to_whoever_asks_next(monkeypatch):
    asked, request_id = draft(0, "A", "B"), new_id("catalog")
    monkeypatch.setattr(products, "_insert", fail)
    with pytest.raises(ZeroDivisionError):
        products.create_product(asked, request_id=request_id)
    monkeypatch.undo()
    monkeypatch.setattr(unique, "PATIENCE_SECONDS", 0)
    assert products.create_product(asked, request_id=request_id).variants[0].sku == "A"


def test_a_creator_whose_reservation_was_given_up_is_told_to_try_again(monkeypatch):
    asked = draft(0, "A")
    real = unique.reserve

    def reserve_slowly(*about):
        real(*about)
        unique.settle("catalog", "sku", ["a"])

    monkeypatch.setattr(unique, "reserve", reserve_slowly)
    with pytest.raises(UnavailableError):
        products.create_product(asked)
    assert Product.objects.across().count() == 0


def test_a_creation_that_fails_leaves_no_reservation_behind(post, shelf, monkeypatch):
    monkeypatch.setattr(products, "publish", unreachable)
    assert post(mug(shelf), HTTP_IDEMPOTENCY_KEY="k").status_code == 503
    monkeypatch.undo()
    monkeypatch.setattr(unique, "PATIENCE_SECONDS", 0)
    # the key was kept for this request: the same again succeeds
    assert post(mug(shelf), HTTP_IDEMPOTENCY_KEY="k").status_code == 201
    states = [row.state for alias in aliases_of("catalog") for row in UniqueValue.objects.using(alias)]
    assert states == ["confirmed"]


def fail(*args, **options):
    raise ZeroDivisionError


def unreachable(*args, **options):
    raise OperationalError


@pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)
def test_eight_editors_with_one_sku_make_one_product():
    drafts = [draft(n % 2, "SAME", f"OWN-{n}") for n in range(8)]

    def make(number):
        try:
            products.create_product(drafts[number])
        except SkuTakenError as error:
            return error.code
        return "made"

    outcomes = at_once(8, make)
    assert sorted(outcomes) == ["made", *["sku_taken"] * 7]
    assert Variant.objects.across().count() == 2


@pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)
def test_copies_of_one_request_at_once_make_one_product():
    asked, request_id = draft(1, "A"), new_id("catalog")

    def make(_):
        try:
            return products.create_product(asked, request_id=request_id).id
        except (UnavailableError, DatabaseError) as error:
            return type(error).__name__

    made = {each for each in at_once(6, make) if isinstance(each, int)}
    assert len(made) == 1
    assert Product.objects.across().count() == 1


# ---- reading -------------------------------------------------------------------------------------------------


def test_the_etag_is_the_products_version_and_stays_when_stock_changes(post, client, shelf):
    made = post(mug(shelf)).json()
    assert client.get(f"{URL}/{made['id']}")["ETag"] == '"1"'


def test_a_draft_is_seen_by_staff_only(post, client, shelf, customer):
    made = post(mug(shelf, status="draft")).json()
    assert made["status"] == "draft"
    url = f"{URL}/{made['id']}"
    answers = [client.get(url, **who).status_code for who in ({}, bearer(customer))]
    assert answers == [404, 404]
    assert client.get(url, **bearer(make_principal("staff"))).status_code == 404
    assert client.get(url, **bearer(make_principal("staff", "read_only"))).json() == made
    # and the list holds it for nobody
    assert ids(client.get(URL, **bearer(make_principal("staff", "read_only")))) == []


def test_an_archived_product_is_read_by_its_id_and_not_listed(post, client, shelf):
    made = post(mug(shelf)).json()
    archive(number_of("var", made["variants"][0]["id"]))
    assert client.get(f"{URL}/{made['id']}").json()["status"] == "archived"
    assert ids(client.get(URL)) == []


@pytest.mark.parametrize("text", ["prd_damaged", "cat_00000000000000", "1"])
def test_what_is_no_products_id_is_not_found(client, text):
    assert client.get(f"{URL}/{text}").status_code == 404


def test_an_unknown_product_is_not_found(client):
    answer = client.get(f"{URL}/{public_id('prd', new_id('catalog'))}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_bad_token_is_refused_even_where_none_is_needed(client):
    assert client.get(URL, HTTP_AUTHORIZATION="Bearer nonsense").status_code == 401


def test_the_list_is_newest_first_over_both_shards_and_pages_through_everything_once(client):
    made = [variant_on(n % 2) for n in range(7)]
    newest_first = [public_id("var", each) for each in made[::-1]]
    seen, url = [], f"{URL}?limit=3"
    while url:
        page = client.get(url).json()
        seen += [product["variants"][0]["id"] for product in page["data"]]
        url = page["next_cursor"] and f"{URL}?limit=3&cursor={page['next_cursor']}"
    assert seen == newest_first


def test_a_page_is_not_moved_by_what_is_made_meanwhile(client):
    made = [public_id("var", variant_on(n % 2)) for n in range(4)]
    following = client.get(f"{URL}?limit=2").json()["next_cursor"]
    variant_on(0)
    page = client.get(f"{URL}?limit=2&cursor={following}").json()
    assert [product["variants"][0]["id"] for product in page["data"]] == made[1::-1]
    assert page["next_cursor"] is None


def test_a_category_includes_its_descendants_on_whatever_shard_they_are(client, post, editor):
    def category(name, parent=None):
        body = {"name": name, "parent_id": parent}
        url = "/api/v1/catalog/categories"
        return client.post(url, json.dumps(body), content_type="application/json", **editor).json()["id"]

    house = category("House")
    below = [category(f"Room {n}", house) for n in range(4)]
    deeper = category("Shelf", below[0])
    elsewhere = category("Garden")
    made = {shelf: post(mug(shelf, shelf)).json()["id"] for shelf in (house, *below, deeper, elsewhere)}

    def listed(shelf):
        return set(ids(client.get(f"{URL}?category={shelf}")))

    assert listed(house) == set(made.values()) - {made[elsewhere]}
    assert listed(below[0]) == {made[below[0]], made[deeper]}
    assert listed(deeper) == {made[deeper]}
    assert listed(public_id("cat", new_id("catalog"))) == set()


def test_a_list_takes_the_same_number_of_statements_however_long_it_is(client):
    def statements(limit):
        with statements_on_shards("catalog") as asked:
            assert len(client.get(f"{URL}?limit={limit}").json()["data"]) == limit
        return len(asked)

    for number in range(12):
        variant_on(number)
    # a page of as many products as there are shards lies on all of them
    assert statements(SHARDS) == statements(12) == 2 * SHARDS


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("category=cat_damaged", ("category", "invalid_id")),
        ("category=", ("category", "invalid_id")),
        ("cursor=damaged", ("cursor", "invalid_cursor")),
        ("limit=x", ("limit", "out_of_range")),
    ],
)
def test_a_query_at_fault_is_named(client, query, fault):
    answer = client.get(f"{URL}?{query}")
    assert (answer.status_code, faults(answer)) == (422, [fault])


def test_what_the_table_does_not_hold_is_not_allowed(client):
    answer = client.delete(URL)
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, POST")
