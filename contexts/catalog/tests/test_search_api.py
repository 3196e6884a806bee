"""The list of products, searched, filtered and sorted: the same answers on every engine and over all shards."""

import pytest
from django.db import connections

from contexts.catalog.domain import MAX_WORD
from contexts.catalog.models import HasWords, Product
from contexts.catalog.services import changing, variants
from contexts.catalog.services.products import ProductDraft, VariantDraft, create_product
from contexts.catalog.tests.factories import category_on, new_order, reserve
from shop.contract import Money
from shop.sharding import alias_of
from shop.sharding.public_ids import public_id
from tests.capturing import statements_on_shards
from tests.shards import SHARDS

URL = "/api/v1/catalog/products"


@pytest.fixture
def shelves():
    return [category_on(0), category_on(1)]


@pytest.fixture
def make(shelves):
    numbers = iter(range(10_000))

    def product(name, *prices, stock=0, sku="", **fields):
        number = next(numbers)
        lines = [
            VariantDraft(sku=f"{sku or 'X'}-{number}-{n}", price=Money(amount=each, currency="EUR"), stock=stock)
            for n, each in enumerate(prices or (100,))
        ]
        return create_product(ProductDraft(name=name, category_id=shelves[number % 2].id, variants=lines, **fields))

    return product


@pytest.fixture
def names(client):
    def ask(**query):
        answer = client.get(URL, query)
        assert answer.status_code == 200, answer.content
        return [each["name"] for each in answer.json()["data"]]

    return ask


def faults(answer):
    return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


# ---- q -------------------------------------------------------------------------------------------------------

MEANING = [
    ("mug", {"Blue Mug", "Mugs of clay"}),
    ("MUG blu", {"Blue Mug"}),
    ("blu MUG", {"Blue Mug"}),
    ("ug", set()),
    ("mug red", set()),
    ("cafe", {"Café-Kanne"}),
    ("CAFÉ kan", {"Café-Kanne"}),
    ("kannen", set()),
    ("strasse", {"Straße 77"}),
    ("77", {"Straße 77"}),
    ("85123", {"Lantern"}),
    ("85123a-w", {"Lantern"}),
    ("white", {"Lantern"}),
    ("glow night", {"Lantern"}),
    ("茶", {"茶碗"}),
    ("碗", set()),
    ("don't", {"Don't panic"}),
    ("dont", set()),
    ("OR", {"Do or not"}),
    ("NOT", {"Do or not"}),
    ("snake", {"snake_case"}),
    ("case", {"snake_case"}),
    ("a*", {"Apple"}),
    ("no5", {"№5 Tea™"}),
    ("teatm", {"№5 Tea™"}),
    ("'; --", "all"),
    ('"', "all"),
    ("", "all"),
    ("  \t", "all"),
    ("\x00mug\x00", {"Blue Mug", "Mugs of clay"}),
    ("😀", "all"),
]


@pytest.mark.parametrize(("q", "found"), MEANING, ids=[repr(q) for q, _ in MEANING])
def test_every_word_is_a_prefix_of_a_word_of_name_sku_or_description(make, names, q, found):
    make("Blue Mug")
    make("Mugs of clay")
    make("Do or not")
    make("Café-Kanne")
    make("Straße 77")
    make("Lantern", sku="85123A-WHITE", description="Glows\nin the night.")
    make("茶碗")
    make("Don't panic")
    make("snake_case")
    make("Apple")
    make("№5 Tea™")
    assert set(names(q=q)) == found if found != "all" else len(names(q=q)) == 11


def test_a_search_follows_what_changes(make, names):
    mug = make("Mug")
    changing.change_product(mug.id, {"name": "Cup", "description": "of tin"})
    assert (names(q="mug"), names(q="cup ti")) == ([], ["Cup"])
    variants.add_variant(mug.id, VariantDraft(sku="ZEBRA", price=Money(amount=1, currency="EUR")))
    assert names(q="zeb") == ["Cup"]
    changing.archive_product(mug.id)
    assert names(q="cup") == []


def test_words_count_to_their_hundredth_character(make, names):
    make("x" * (MAX_WORD + 20))
    assert len(names(q="x" * (MAX_WORD + 50))) == 1
    assert names(q="y" * MAX_WORD) == []


def test_the_longest_description_is_found_by_its_last_word(make, names):
    make("Book", description=" ".join(f"w{n}" for n in range(3300)))
    assert names(q="w3299 w0") == ["Book"]


def test_the_search_asks_an_index(make):
    connection = connections[alias_of("catalog", make("Mug").id)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # of one row a scan would be cheaper
    # when nothing but the words is asked for: of one row, an index on anything else would do as well
    assert "product_words" in Product.objects.using(connection.alias).filter(HasWords(["mug"])).explain()


# ---- prices and stock ----------------------------------------------------------------------------------------


def test_prices_are_those_of_the_cheapest_variant(make, names):
    make("Five to nine", 900, 500)
    make("Seven", 700)
    make("Nine", 900)
    assert set(names(min_price=700)) == {"Seven", "Nine"}
    assert set(names(max_price=700)) == {"Five to nine", "Seven"}
    assert names(min_price=600, max_price=800) == ["Seven"]
    assert names(min_price=800, max_price=600) == []


def test_the_cheapest_price_follows_what_changes(make, names):
    mug = make("Mug", 900)
    variants.change_variant(mug.variants[0].id, price=Money(amount=800, currency="EUR"))
    assert (names(max_price=850), names(min_price=850)) == (["Mug"], [])
    variants.add_variant(mug.id, VariantDraft(sku="CHEAP", price=Money(amount=300, currency="EUR")))
    assert names(max_price=300) == ["Mug"]


def test_in_stock_is_what_somebody_could_buy_now(make, names):
    make("Gone")
    make("There", stock=1)
    held = make("Held", stock=1)
    reserve(new_order(), {held.variants[0].id: 1})
    assert names(in_stock="true") == ["There"]
    assert set(names(in_stock="false")) == {"Gone", "Held"}
    assert len(names()) == 3


def test_filters_go_together(make, names, shelves):
    make("Blue mug", 500, stock=1)
    make("Blue mug elsewhere", 500, stock=1)
    make("Blue mug, dear", 5000, stock=1)
    here = public_id("cat", shelves[0].id)
    assert names(q="blue", category=here, max_price=600, in_stock="true", sort="price") == ["Blue mug"]


# ---- order ---------------------------------------------------------------------------------------------------

SORTS = {
    "newest": ["Éclair", "banana", "Apple", "apple pie", "Cherry"],
    "name": ["Apple", "apple pie", "banana", "Cherry", "Éclair"],
    "price": ["Cherry", "Apple", "banana", "apple pie", "Éclair"],
    "-price": ["Éclair", "apple pie", "banana", "Apple", "Cherry"],
}


@pytest.fixture
def fruit(make):
    for name, price in [("Cherry", 100), ("apple pie", 400), ("Apple", 200), ("banana", 300), ("Éclair", 500)]:
        make(name, price, 900)


@pytest.mark.parametrize(("sort", "expected"), SORTS.items(), ids=SORTS)
def test_each_order_pages_through_everything_once_whatever_is_made_meanwhile(client, fruit, make, sort, expected):
    seen, following = [], {}
    while following is not None:
        page = client.get(URL, {"sort": sort, "limit": 2, **following}).json()
        seen += [each["name"] for each in page["data"] if not each["name"].startswith("New")]
        following = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
        make(f"New {len(seen)}", 250)
    assert seen == expected


@pytest.mark.parametrize("sort", SORTS)
def test_equals_are_each_seen_once(client, make, sort):
    made = {public_id("prd", make("Same", 100).id) for _ in range(5)}
    seen, following = [], {}
    while following is not None:
        page = client.get(URL, {"sort": sort, "limit": 2, **following}).json()
        seen += [each["id"] for each in page["data"]]
        following = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert (len(seen), set(seen)) == (5, made)


@pytest.mark.parametrize("other", [{"sort": "name"}, {"q": "a"}, {"min_price": "1"}, {"in_stock": "false"}, {}])
def test_a_cursor_belongs_to_its_list_and_order(client, fruit, other):
    following = client.get(URL, {"sort": "price", "limit": 2}).json()["next_cursor"]
    answer = client.get(URL, {**other, "cursor": following})
    assert (answer.status_code, faults(answer)) == (422, [("cursor", "invalid_cursor")])


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sort=oldest", ("sort", "invalid_choice")),
        ("sort=", ("sort", "invalid_choice")),
        ("min_price=-1", ("min_price", "out_of_range")),
        ("max_price=1.5", ("max_price", "out_of_range")),
        ("max_price=", ("max_price", "out_of_range")),
        ("max_price=1000000000001", ("max_price", "out_of_range")),
        ("min_price=" + "9" * 5000, ("min_price", "out_of_range")),
        ("min_price=%D9%A1", ("min_price", "out_of_range")),
        ("in_stock=yes", ("in_stock", "invalid_choice")),
        ("q=" + "x" * 201, ("q", "out_of_range")),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_question_at_fault_is_named(client, query, fault):
    answer = client.get(f"{URL}?{query}")
    assert (answer.status_code, faults(answer)) == (422, [fault])


def test_filters_and_orders_take_no_statement_more(client, fruit):
    with statements_on_shards("catalog") as asked:
        query = {"q": "a", "min_price": 1, "in_stock": "false", "sort": "name"}
        assert len(client.get(URL, query).json()["data"]) == 2
    assert len(asked) <= 4 + SHARDS
