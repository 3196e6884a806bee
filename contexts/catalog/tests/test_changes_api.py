"""Products and variants that exist, over HTTP: changed, moved, archived, added to."""

import json

import pytest

from contexts.catalog.models import CategoryBucket, Product, Variant
from contexts.catalog.services import changing, variants
from contexts.catalog.services.errors import SkuTakenError, VersionMismatchError
from contexts.catalog.services.products import ProductDraft, VariantDraft, create_product
from contexts.catalog.tests.factories import assert_the_books_balance, at_once, category_on, movements
from shop.contract import Money
from shop.events.models import OutboxEvent
from shop.sharding import aliases_of, bucket_of, new_id, unique
from shop.sharding.public_ids import number_of, public_id
from tests.plugin import bearer, make_principal

BASE = "/api/v1/catalog"
PRICE = {"amount": 1299, "currency": "EUR"}
BOTH = pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)


@pytest.fixture
def send(client):
    keys = iter(range(10_000))
    editor = bearer(make_principal("staff", "catalog_editor"))

    def call(method, path, body=None, **headers):
        given = {**editor, "HTTP_IDEMPOTENCY_KEY": f"key-{next(keys)}", **headers}
        if body is None:
            return client.generic(method, f"{BASE}/{path}", **given)
        return client.generic(method, f"{BASE}/{path}", json.dumps(body), content_type="application/json", **given)

    return call


def made(shard=0, *skus, **fields):
    lines = [VariantDraft(sku=sku, price=Money(amount=1299, currency="EUR"), stock=3) for sku in skus or ("MUG",)]
    return create_product(ProductDraft(name="Mug", category_id=category_on(shard).id, variants=lines, **fields))


@pytest.fixture(params=[0, 1], ids=["first shard", "second shard"])
def mug(request):
    return made(request.param)


def prd(card):
    return f"products/{public_id('prd', card.id)}"


def var(card):
    return f"variants/{public_id('var', card.variants[0].id)}"


def told(card):
    rows = [row for alias in aliases_of("catalog") for row in OutboxEvent.objects.using(alias)]
    return [(row.topic, row.event_seq) for row in sorted(rows, key=lambda row: row.pk) if row.key == str(card.id)]


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


# ---- PATCH /products/{id} ------------------------------------------------------------------------------------


def test_an_editor_changes_what_the_body_names_and_nothing_else(send, client, mug):
    before = client.get(f"{BASE}/{prd(mug)}").json()
    answer = send("PATCH", prd(mug), {"name": "Cup", "attributes": {"material": "tin"}}, HTTP_IF_MATCH='"1"')
    after = answer.json()
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"name", "attributes", "updated_at"}
    assert client.get(f"{BASE}/{prd(mug)}").json() == after
    assert told(mug) == [("catalog.product_changed.v1", 1), ("catalog.product_changed.v1", 2)]


@pytest.mark.parametrize("etag", ['"2"', 'W/"1"', "1", '"x"', "", '"1'])
def test_another_version_than_the_one_seen_is_refused_and_nothing_changes(send, mug, etag):
    answer = send("PATCH", prd(mug), {"name": "Cup"}, HTTP_IF_MATCH=etag)
    assert (answer.status_code, answer.json()["code"]) == (412, "version_mismatch")
    assert Product.objects.get(pk=mug.id).name == "Mug"


@pytest.mark.parametrize("headers", [{}, {"HTTP_IF_MATCH": "*"}, {"HTTP_IF_MATCH": '"7", "1"'}])
def test_any_version_will_do_where_none_is_named_or_one_of_several_is_right(send, mug, headers):
    assert send("PATCH", prd(mug), {"name": "Cup"}, **headers).status_code == 200


@pytest.mark.parametrize("body", [{}, {"name": "Mug"}])
def test_what_is_the_same_already_makes_no_new_version(send, mug, body):
    answer = send("PATCH", prd(mug), body)
    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    assert len(told(mug)) == 1


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": " "}, ("name", "blank")),
        ({"name": None}, ("name", "null")),
        ({"category_id": "cat_damaged"}, ("category_id", "invalid_id")),
        ({"status": "archived"}, ("status", "invalid_choice")),
        ({"variants": []}, ("variants", "unknown_field")),
        ({"attributes": 5}, ("attributes", "not_a_dict")),
    ],
)
def test_a_change_at_fault_is_named(send, body, fault):
    answer = send("PATCH", prd(made()), body)
    assert (answer.status_code, faults(answer)) == (422, [fault])


@BOTH
@pytest.mark.parametrize("shard", [0, 1])
def test_of_many_who_saw_the_same_version_one_wins(shard):
    mug = made(shard)

    def change(number):
        try:
            changing.change_product(mug.id, {"name": f"Cup {number}"}, versions={1})
        except VersionMismatchError:
            return None
        return f"Cup {number}"

    [winner] = [each for each in at_once(6, change) if each]
    assert Product.objects.get(pk=mug.id).name == winner
    assert Product.objects.get(pk=mug.id).version == 2


@pytest.mark.parametrize("there", [0, 1])
def test_a_product_moves_to_a_category_of_any_shard_and_is_listed_there(send, client, mug, there):
    shelf = category_on(there)
    answer = send("PATCH", prd(mug), {"category_id": public_id("cat", shelf.id)})
    assert answer.json()["category_id"] == public_id("cat", shelf.id)
    # then it keeps its ID and bucket, and the new category's list finds it there
    [listed] = client.get(f"{BASE}/products?category={public_id('cat', shelf.id)}").json()["data"]
    assert listed == answer.json()
    assert bucket_of(mug.id) in CategoryBucket.objects.filter(category_id=shelf.id).values_list("bucket", flat=True)
    assert client.get(f"{BASE}/products?category={public_id('cat', mug.category_id)}").json()["data"] == []


def test_the_bucket_is_in_the_categorys_set_before_the_product_moves(monkeypatch):
    mug, shelf = made(1), category_on(0)
    monkeypatch.setattr(changing, "renewed", fail)
    with pytest.raises(ZeroDivisionError):
        changing.change_product(mug.id, {"category_id": shelf.id})
    assert bucket_of(mug.id) in CategoryBucket.objects.filter(category_id=shelf.id).values_list("bucket", flat=True)


def fail(*args, **options):
    raise ZeroDivisionError


def test_a_product_can_not_move_to_a_category_that_does_not_exist(send, mug):
    answer = send("PATCH", prd(mug), {"category_id": public_id("cat", new_id("catalog"))})
    assert (answer.status_code, answer.json()["code"]) == (404, "category_not_found")
    assert faults(answer) == [("category_id", "category_not_found")]


# ---- DELETE /products/{id} -----------------------------------------------------------------------------------


def test_an_archived_product_is_read_by_its_id_and_neither_listed_nor_sold(send, client, mug):
    answer = send("DELETE", prd(mug))
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"{BASE}/{prd(mug)}").json()["status"] == "archived"
    assert client.get(f"{BASE}/products").json()["data"] == []
    assert told(mug) == [("catalog.product_changed.v1", 1), ("catalog.product_archived.v1", 2)]


def test_archiving_twice_is_archiving_once(send, mug):
    assert [send("DELETE", prd(mug)).status_code for _ in range(2)] == [204, 204]
    assert len(told(mug)) == 2


def test_archiving_asks_for_the_version_where_one_is_named(send, mug):
    assert send("DELETE", prd(mug), HTTP_IF_MATCH='"9"').status_code == 412
    assert send("DELETE", prd(mug), HTTP_IF_MATCH='"1"').status_code == 204


def test_an_archived_product_comes_back_when_it_is_made_active(send, client, mug):
    send("DELETE", prd(mug))
    assert send("PATCH", prd(mug), {"status": "active"}).status_code == 200
    assert len(client.get(f"{BASE}/products").json()["data"]) == 1


# ---- POST /products/{id}/variants ----------------------------------------------------------------------------


def test_an_editor_adds_a_variant_with_stock(send, client, mug):
    body = {"sku": "MUG-XL", "price": {"amount": 999, "currency": "EUR"}, "options": {"size": "XL"}, "stock": 4}
    answer = send("POST", f"{prd(mug)}/variants", body)
    new = answer.json()
    assert answer.status_code == 201
    assert (new["sku"], new["options"], new["available"]) == ("MUG-XL", {"size": "XL"}, 4)
    # then it is the product's, whose version it raised
    read = client.get(f"{BASE}/{prd(mug)}")
    assert (read.json()["variants"][1], read["ETag"]) == (new, '"2"')
    assert movements(number_of("var", new["id"])) == [("received", 4, 4)]
    assert told(mug)[1:] == [("catalog.product_changed.v1", 2)]
    assert_the_books_balance()


def test_a_sku_is_taken_once_whoever_has_it(send, mug):
    made(0, "A")
    made(1, "B")
    for sku in ("a", "B", "mug"):
        answer = send("POST", f"{prd(mug)}/variants", {"sku": sku, "price": PRICE})
        assert (answer.status_code, answer.json()["code"], faults(answer)) == (
            *(409, "sku_taken"),
            [("sku", "sku_taken")],
        )


def test_the_same_key_adds_one_variant(send, mug):
    answers = [
        send("POST", f"{prd(mug)}/variants", {"sku": "NEW", "price": PRICE}, HTTP_IDEMPOTENCY_KEY="k") for _ in "12"
    ]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].content == answers[1].content


def test_a_repetition_after_a_crash_behind_the_effect_finds_its_variant(mug, monkeypatch):
    draft, request_id = VariantDraft(sku="NEW", price=Money(amount=5, currency="EUR"), stock=2), new_id("catalog")
    monkeypatch.setattr(unique, "confirm", fail)
    with pytest.raises(ZeroDivisionError):
        variants.add_variant(mug.id, draft, request_id=request_id)
    monkeypatch.undo()
    assert variants.add_variant(mug.id, draft, request_id=request_id).available == 2
    assert Variant.objects.on(mug.id).filter(product_id=mug.id).count() == 2


def test_a_product_has_so_many_variants_and_no_more_and_the_sku_stays_free(send, mug, monkeypatch):
    monkeypatch.setattr(variants, "MOST", 1)
    answer = send("POST", f"{prd(mug)}/variants", {"sku": "NEW", "price": PRICE})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_variants")
    monkeypatch.undo()
    assert send("POST", f"{prd(mug)}/variants", {"sku": "NEW", "price": PRICE}).status_code == 201


def test_a_product_that_does_not_exist_gets_no_variant(send):
    answer = send("POST", f"products/{public_id('prd', new_id('catalog'))}/variants", {"sku": "NEW", "price": PRICE})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@BOTH
def test_eight_editors_with_one_sku_add_one_variant():
    mugs = [made(n % 2, f"OWN-{n}") for n in range(8)]

    def add(number):
        try:
            variants.add_variant(mugs[number].id, VariantDraft(sku="SAME", price=Money(amount=5, currency="EUR")))
        except SkuTakenError as error:
            return error.code
        return "made"

    assert sorted(at_once(8, add, threads=8)) == ["made", *["sku_taken"] * 7]


# ---- PATCH /variants/{id} ------------------------------------------------------------------------------------


def test_a_price_and_options_change_and_raise_the_products_version(send, client, mug):
    answer = send("PATCH", var(mug), {"price": {"amount": 5, "currency": "GBP"}, "options": {"size": "S"}})
    assert answer.status_code == 200
    assert (answer.json()["price"], answer.json()["options"]) == ({"amount": 5, "currency": "GBP"}, {"size": "S"})
    assert answer.json()["available"] == 3
    read = client.get(f"{BASE}/{prd(mug)}")
    assert (read["ETag"], read.json()["variants"]) == ('"2"', [answer.json()])


def test_the_same_price_again_makes_no_new_version(send, client, mug):
    assert send("PATCH", var(mug), {"price": PRICE}).status_code == 200
    assert client.get(f"{BASE}/{prd(mug)}")["ETag"] == '"1"'


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"price": {"amount": 5}}, ("price.currency", "required")),
        ({"price": None}, ("price", "null")),
        ({"price": {"amount": 0, "currency": "EUR"}}, ("price.amount", "min_value")),
        ({"options": {"size": "M", "x": []}}, ("options.x", "invalid")),
        ({"options": {"size": 5}}, ("options.size", "invalid")),
        ({"options": {"": "M"}}, ("options", "blank")),
        ({"options": {f"option {number}": "M" for number in range(21)}}, ("options", "max_length")),
        ({"sku": "NEW"}, ("sku", "unknown_field")),
    ],
)
def test_a_variants_change_at_fault_is_named(send, body, fault):
    answer = send("PATCH", var(made()), body)
    assert (answer.status_code, faults(answer)) == (422, [fault])


def test_a_variant_that_does_not_exist_is_not_changed(send):
    answer = send("PATCH", f"variants/{public_id('var', new_id('catalog'))}", {"price": PRICE})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# ---- GET /variants?ids= --------------------------------------------------------------------------------------


def test_variants_of_both_shards_come_in_the_order_asked_without_those_that_are_not_there(client):
    cards = [made(n % 2, f"S-{n}").variants[0] for n in range(3)]
    wanted = [cards[2].id, new_id("catalog"), cards[0].id, cards[2].id, cards[1].id]
    answer = client.get(f"{BASE}/variants?ids={','.join(public_id('var', each) for each in wanted)}")
    assert answer.status_code == 200
    assert [each["sku"] for each in answer.json()["data"]] == ["S-2", "S-0", "S-1"]
    assert answer.json()["next_cursor"] is None


def test_variants_of_drafts_are_for_staff(client, send):
    draft = made(1, status="draft")
    there = f"{BASE}/variants?ids={public_id('var', draft.variants[0].id)}"
    assert client.get(there).json()["data"] == []
    assert len(client.get(there, **bearer(make_principal("staff", "read_only"))).json()["data"]) == 1


@pytest.mark.parametrize(
    ("ids", "fault"),
    [
        ("", ("ids", "out_of_range")),
        ("var_damaged", ("ids", "invalid_id")),
        (",", ("ids", "invalid_id")),
        (",".join(["var_x"] * 101), ("ids", "out_of_range")),
    ],
    ids=["none", "damaged", "empty", "too many"],
)
def test_ids_at_fault_are_named(client, ids, fault):
    answer = client.get(f"{BASE}/variants?ids={ids}")
    assert (answer.status_code, faults(answer)) == (422, [fault])


def test_no_ids_at_all_are_a_fault_and_a_hundred_are_not(client):
    assert client.get(f"{BASE}/variants").status_code == 422
    hundred = ",".join(public_id("var", new_id("catalog")) for _ in range(100))
    assert client.get(f"{BASE}/variants?ids={hundred}").json()["data"] == []


# ---- who -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "products/prd_x"),
        ("DELETE", "products/prd_x"),
        ("POST", "products/prd_x/variants"),
        ("PATCH", "variants/var_x"),
        ("PATCH", "categories/cat_x"),
        ("DELETE", "categories/cat_x"),
    ],
)
def test_only_editors_change_anything_and_what_is_no_id_is_not_found(client, send, method, path):
    def status(*who):
        headers = bearer(make_principal(*who)) if who else {}
        body = {"sku": "NEW", "price": PRICE} if method == "POST" else {}
        data = "" if method == "DELETE" else json.dumps(body)
        key = {"HTTP_IDEMPOTENCY_KEY": f"k-{who}"}
        there = f"{BASE}/{path}"
        return client.generic(method, there, data, content_type="application/json", **headers, **key).status_code

    assert [status(), status("customer"), status("staff", "order_desk")] == [401, 403, 403]
    assert status("staff", "catalog_editor") == 404
