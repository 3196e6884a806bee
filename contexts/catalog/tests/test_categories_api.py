"""Categories over HTTP: made by editors, read by everybody."""

import json

import pytest

from contexts.catalog.models import Category
from contexts.catalog.services import categories
from contexts.catalog.tests.factories import at_once
from shop.sharding import aliases_of, new_id
from shop.sharding.public_ids import public_id
from tests.plugin import bearer, make_principal

URL = "/api/v1/catalog/categories"


@pytest.fixture
def editor():
    return bearer(make_principal("staff", "catalog_editor"))


@pytest.fixture
def post(client, editor):
    def send(body, **headers):
        return client.post(URL, json.dumps(body), content_type="application/json", **{**editor, **headers})

    return send


@pytest.fixture
def garden(post):
    return post({"name": "Garden & Patio"}).json()


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


def test_an_editor_makes_a_category_whose_slug_comes_from_its_name(post, client):
    answer = post({"name": "Garden & Patio"})
    made = answer.json()
    assert answer.status_code == 201
    assert set(made) == {"id", "name", "slug", "parent_id", "created_at"}
    assert (made["name"], made["slug"], made["parent_id"]) == ("Garden & Patio", "garden-patio", None)
    assert made["id"].startswith("cat_")
    assert made["created_at"].endswith("Z")
    # and everybody reads the same
    assert client.get(f"{URL}/{made['id']}").json() == made


def test_a_category_may_have_a_slug_of_its_own_and_a_parent(post, garden):
    made = post({"name": "Pots", "slug": "clay-pots", "parent_id": garden["id"]}).json()
    assert (made["slug"], made["parent_id"]) == ("clay-pots", garden["id"])


def test_a_name_without_latin_letters_gets_a_slug_all_the_same(post):
    assert post({"name": "茶"}).json()["slug"].startswith("category-")


@pytest.mark.parametrize("body", [{"name": "Garden & Patio"}, {"name": "Other", "slug": "garden-patio"}])
def test_a_slug_is_taken_once(post, garden, body):
    answer = post(body)
    assert (answer.status_code, answer.json()["code"]) == (409, "slug_taken")
    assert faults(answer) == [("slug", "slug_taken")]


def test_an_unknown_parent_is_not_found(post):
    answer = post({"name": "Pots", "parent_id": public_id("cat", new_id("catalog"))})
    assert (answer.status_code, answer.json()["code"]) == (404, "category_not_found")
    assert Category.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, ("name", "required")),
        ({"name": "  "}, ("name", "blank")),
        ({"name": "x" * 201}, ("name", "max_length")),
        ({"name": "Pots", "slug": "Not A Slug"}, ("slug", "invalid")),
        ({"name": "Pots", "colour": "red"}, ("colour", "unknown_field")),
        ({"name": "Pots", "parent_id": "cat_NOTANID"}, ("parent_id", "invalid_id")),
    ],
)
def test_a_body_at_fault_is_named_field_by_field(post, body, fault):
    answer = post(body)
    assert answer.status_code == 422
    assert faults(answer) == [fault]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (dict, 401, "not_authenticated"),
        (lambda: bearer(make_principal("customer")), 403, "forbidden"),
        (lambda: bearer(make_principal("staff", "order_desk")), 403, "forbidden"),
        (lambda: bearer(make_principal("staff")), 403, "forbidden"),
    ],
    ids=["nobody", "customer", "order desk", "no role"],
)
def test_only_editors_make_categories(client, headers, status, code):
    answer = client.post(URL, json.dumps({"name": "Pots"}), content_type="application/json", **headers())
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_same_key_makes_one_category(post):
    first = post({"name": "Pots"}, HTTP_IDEMPOTENCY_KEY="k1")
    again = post({"name": "Pots"}, HTTP_IDEMPOTENCY_KEY="k1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotent-Replay"] == "true"


def test_a_repetition_that_lost_its_answer_finds_the_category_it_made():
    # given a first attempt that ended after its effect
    made = categories.create_category(name="Pots", request_id=new_id("catalog"))
    request_id = Category.objects.get(pk=made.id).request_id
    # when it runs again under the same claimed ID, then it is no conflict with itself
    assert categories.create_category(name="Pots", request_id=request_id) == made


@pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)
@pytest.mark.parametrize("name", ["Pots", "壺"], ids=["a slug of its name", "a slug of its ID"])
def test_copies_of_one_request_at_once_make_one_category(name):
    request_id = new_id("catalog")
    made = at_once(6, lambda _: categories.create_category(name=name, request_id=request_id))
    assert len(set(made)) == 1
    assert Category.objects.count() == 1


def test_categories_of_one_editor_spread_over_buckets(post):
    made = [post({"name": f"Pots {n}"}, HTTP_IDEMPOTENCY_KEY=f"k{n}").json()["id"] for n in range(6)]
    rows = categories.list_categories(parent_id=None, limit=100, after=None).rows
    assert len(made) == 6
    assert len(categories.buckets_of({row.id for row in rows})) > 1


def test_the_list_is_newest_first_and_pages_through_everything_once(post, client):
    made = [post({"name": f"Pots {n}"}).json() for n in range(5)]
    seen, url = [], f"{URL}?limit=2"
    while url:
        page = client.get(url).json()
        seen += page["data"]
        url = page["next_cursor"] and f"{URL}?limit=2&cursor={page['next_cursor']}"
    assert seen == made[::-1]


def test_parent_asks_for_the_children(post, client, garden):
    pots = post({"name": "Pots", "parent_id": garden["id"]}).json()
    post({"name": "Clay", "parent_id": pots["id"]})
    assert client.get(f"{URL}?parent={garden['id']}").json() == {"data": [pots], "next_cursor": None}


def test_children_of_an_unknown_category_are_none(client):
    unknown = public_id("cat", new_id("catalog"))
    assert client.get(f"{URL}?parent={unknown}").json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("parent=cat_damaged", ("parent", "invalid_id")),
        ("parent=", ("parent", "invalid_id")),
        ("cursor=damaged", ("cursor", "invalid_cursor")),
        ("limit=0", ("limit", "out_of_range")),
        ("limit=101", ("limit", "out_of_range")),
    ],
)
def test_a_query_at_fault_is_named(client, query, fault):
    answer = client.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert faults(answer) == [fault]


def test_a_cursor_of_one_parents_list_is_refused_in_anothers(post, client, garden):
    for name in ("Pots", "Pans"):
        post({"name": name, "parent_id": garden["id"]})
    following = client.get(f"{URL}?parent={garden['id']}&limit=1").json()["next_cursor"]
    answer = client.get(f"{URL}?cursor={following}")
    assert (answer.status_code, faults(answer)) == (422, [("cursor", "invalid_cursor")])


@pytest.mark.parametrize("text", ["cat_damaged", "prd_00000000000000", "1"])
def test_what_is_no_categorys_id_is_not_found(client, text):
    assert client.get(f"{URL}/{text}").status_code == 404


def test_an_unknown_category_is_not_found(client):
    answer = client.get(f"{URL}/{public_id('cat', new_id('catalog'))}")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
