"""Categories that exist, over HTTP: renamed, moved in the tree, deleted."""

import json

import pytest

from contexts.catalog.models import Category, CategoryBucket, Product
from contexts.catalog.services import products, tree
from contexts.catalog.services.categories import create_category
from contexts.catalog.services.errors import CategoryCycleError, CategoryNotEmptyError, CategoryNotFoundError
from contexts.catalog.tests.factories import archive, at_once, category_on
from shop.contract import Money
from shop.sharding import aliases_of, new_id
from shop.sharding.public_ids import public_id
from tests.plugin import bearer, make_principal

URL = "/api/v1/catalog/categories"
BOTH = pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)


@pytest.fixture
def send(client):
    editor = bearer(make_principal("staff", "catalog_editor"))

    def call(method, category_id, body=None):
        there = f"{URL}/{cat(category_id)}"
        data = "" if body is None else json.dumps(body)
        return client.generic(method, there, data, content_type="application/json", **editor)

    return call


def cat(number):
    return public_id("cat", number)


def mug_in(category, sku="MUG"):
    line = products.VariantDraft(sku=sku, price=Money(amount=100, currency="EUR"))
    return products.create_product(products.ProductDraft(name="Mug", category_id=category.id, variants=[line]))


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


def test_an_editor_renames_and_moves_a_category(send, client):
    house, pots = create_category(name="House"), create_category(name="Pots")
    answer = send("PATCH", pots.id, {"name": "Clay pots", "slug": "clay", "parent_id": cat(house.id)})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["slug"]) == ("Clay pots", "clay")
    assert client.get(f"{URL}?parent={cat(house.id)}").json()["data"] == [answer.json()]
    # and back to the top, keeping the rest
    top = send("PATCH", pots.id, {"parent_id": None}).json()
    assert top == {**answer.json(), "parent_id": None}


def test_a_slug_of_another_category_is_taken(send):
    create_category(name="House")
    answer = send("PATCH", create_category(name="Pots").id, {"slug": "house"})
    assert (answer.status_code, answer.json()["code"], faults(answer)) == (409, "slug_taken", [("slug", "slug_taken")])


def test_a_category_never_is_below_itself(send):
    house = create_category(name="House")
    room = create_category(name="Room", parent_id=house.id)
    shelf = create_category(name="Shelf", parent_id=room.id)
    for parent in (house, room, shelf):
        answer = send("PATCH", house.id, {"parent_id": cat(parent.id)})
        assert (answer.status_code, answer.json()["code"]) == (409, "category_cycle")
        assert faults(answer) == [("parent_id", "category_cycle")]
    assert Category.objects.get(pk=house.id).parent_id is None


def test_what_does_not_exist_is_neither_changed_nor_a_parent(send):
    pots = create_category(name="Pots")
    answer = send("PATCH", pots.id, {"parent_id": cat(new_id("catalog"))})
    assert (answer.status_code, faults(answer)) == (404, [("parent_id", "category_not_found")])
    for body in ({"name": "X"}, {"parent_id": cat(pots.id)}):
        answer = send("PATCH", new_id("catalog"), body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": ""}, ("name", "blank")),
        ({"slug": "Not A Slug"}, ("slug", "invalid")),
        ({"slug": None}, ("slug", "null")),
        ({"parent_id": "cat_damaged"}, ("parent_id", "invalid_id")),
        ({"id": "x"}, ("id", "unknown_field")),
    ],
)
def test_a_change_at_fault_is_named(send, body, fault):
    answer = send("PATCH", create_category(name="Pots").id, body)
    assert (answer.status_code, faults(answer)) == (422, [fault])


@BOTH
def test_two_moves_at_once_make_no_circle():
    for _ in range(5):
        pair = [create_category(name=f"C {new_id('catalog')}").id for _ in range(2)]

        def move(number, pair=pair):
            try:
                tree.change_category(pair[number], {"parent_id": pair[1 - number]})
            except CategoryCycleError:
                return False
            return True

        assert sorted(at_once(2, move)) == [False, True]


# ---- deleting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", [0, 1])
def test_an_empty_category_goes_with_all_that_is_known_of_it(send, client, shard):
    shelf = category_on(shard)
    answer = send("DELETE", shelf.id)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"{URL}/{cat(shelf.id)}").status_code == 404
    assert not CategoryBucket.objects.filter(category_id=shelf.id).exists()
    assert send("DELETE", shelf.id).status_code == 404


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize("archived", [False, True])
def test_a_category_with_products_stays_and_takes_more(send, shard, archived):
    shelf = category_on(shard)
    mug = mug_in(shelf)
    if archived:
        archive(mug.variants[0].id)
    answer = send("DELETE", shelf.id)
    assert (answer.status_code, answer.json()["code"]) == (409, "category_not_empty")
    assert mug_in(shelf, "SECOND").category_id == shelf.id


def test_a_product_that_moved_in_from_another_shard_is_seen(send):
    from contexts.catalog.services.changing import change_product  # noqa: PLC0415

    mug, shelf = mug_in(category_on(1)), category_on(0)
    change_product(mug.id, {"category_id": shelf.id})
    assert send("DELETE", shelf.id).status_code == 409
    # and the one it left is free to go
    assert send("DELETE", mug.category_id).status_code == 204


def test_a_category_with_children_stays(send):
    house = create_category(name="House")
    create_category(name="Room", parent_id=house.id)
    answer = send("DELETE", house.id)
    assert (answer.status_code, answer.json()["code"]) == (409, "category_not_empty")


def test_a_deletion_that_broke_off_lets_nothing_in_and_can_be_repeated(send, monkeypatch):
    shelf = category_on(1)

    def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr(tree, "_has_products", fail)
    with pytest.raises(ZeroDivisionError):
        tree.delete_category(shelf.id)
    monkeypatch.undo()
    with pytest.raises(CategoryNotFoundError):
        mug_in(shelf)
    with pytest.raises(CategoryNotFoundError):
        create_category(name="Below", parent_id=shelf.id)
    assert send("DELETE", shelf.id).status_code == 204


@BOTH
@pytest.mark.parametrize("shard", [0, 1])
def test_whatever_comes_in_while_a_category_is_deleted_no_product_is_left_without_one(shard):
    for _ in range(4):
        shelf = category_on(shard)

        def act(number, shelf=shelf):
            try:
                tree.delete_category(shelf.id) if number == 1 else mug_in(shelf, f"S-{shelf.id}-{number}")
            except (CategoryNotEmptyError, CategoryNotFoundError):
                return 0
            return 1

        at_once(3, act, threads=3)
        there = Product.objects.on(shelf.id).filter(category_id=shelf.id).count()
        assert Category.objects.filter(pk=shelf.id).exists() == (there > 0)
