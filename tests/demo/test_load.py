"""The demo shop: what it holds, and that loading it can break off anywhere and be done again."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.demo import load
from contexts.catalog.models import Category, Product, StockMovement, Variant
from contexts.catalog.services import loading
from contexts.catalog.services.products import ProductDraft, VariantDraft
from contexts.catalog.tests.factories import assert_the_books_balance, at_once, category_on
from shop.contract import Money
from shop.events.models import OutboxEvent
from shop.sharding import aliases_of, unique
from shop.sharding.models import UniqueValue
from tests.capturing import statements_on_shards
from tests.shards import SHARDS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.django_db(databases=aliases_of("catalog"))


@pytest.fixture
def rows():
    """Sixty products of all categories."""
    return load.read_rows()[::64]


def quiet(done, total):
    pass


def loaded():
    """What is there, for comparing two moments."""
    return (
        sorted(Variant.objects.across().rows(), key=lambda row: row.pk),
        sorted(row.pk for row in Product.objects.across().rows()),
        sorted(row.pk for row in StockMovement.objects.across().rows()),
        sorted(Category.objects.values_list("slug", flat=True)),
    )


def states_of_skus():
    return {row.state for alias in aliases_of("catalog") for row in UniqueValue.objects.using(alias)}


def test_the_whole_demo_shop_is_loaded_and_a_second_time_changes_nothing():
    steps = []
    assert load.load_demo(lambda done, total: steps.append((done, total))) == 3791
    assert steps == [*((n, 3791) for n in range(500, 3791, 500)), (3791, 3791)]
    assert (Product.objects.across().count(), Category.objects.count()) == (3791, 14)
    assert states_of_skus() == {"confirmed"}
    assert_the_books_balance()
    # when it is loaded again
    before = loaded()
    with statements_on_shards("catalog") as statements:
        assert load.load_demo(quiet) == 0
    # then it only looked
    assert {sql.split()[0] for sql in statements} == {"SELECT"}
    assert len(statements) < 30 + 10 * SHARDS
    assert loaded() == before


def test_products_have_their_price_their_category_and_pieces_received(rows):
    load.load_rows(rows, quiet)
    row = rows[5]
    [variant] = Variant.objects.filter(sku=row["sku"]).across().rows()
    assert (variant.price_amount, variant.price_currency) == (int(row["price_cents"]), "GBP")
    product = Product.objects.get(pk=variant.product_id)
    assert (product.name, product.status) == (row["name"], "active")
    assert Category.objects.get(pk=product.category_id).name == row["category"]
    movement = StockMovement.objects.get(variant_id=variant.pk)
    assert (movement.reason, movement.delta) == ("received", load.stock_of(row["sku"]))
    assert 200 <= movement.delta <= 500


def test_a_load_tells_no_events(rows):
    load.load_rows(rows, quiet)
    assert not any(OutboxEvent.objects.using(alias).exists() for alias in aliases_of("catalog"))


@pytest.mark.parametrize("step", ["reserve_many", "mark_created", "confirm"])
@pytest.mark.parametrize("calls", [1, 2])
def test_a_load_that_broke_off_is_finished_by_the_next(rows, monkeypatch, step, calls):
    # given a load of several batches that died at some step of some batch
    monkeypatch.setattr(load, "BATCH", 20)
    real, left = getattr(unique, step), [calls]

    def dying(*about):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(*about)

    monkeypatch.setattr(unique, step, dying)
    with pytest.raises(KeyboardInterrupt):
        load.load_rows(rows, quiet)
    monkeypatch.setattr(unique, step, real)
    # when it is started again
    load.load_rows(rows, quiet)
    # then everything is there once
    skus = sorted(row.sku for row in Variant.objects.across().rows())
    assert skus == sorted(row["sku"] for row in rows)
    assert Product.objects.across().count() == len(rows)
    assert_the_books_balance()


def test_a_sku_that_the_shop_has_already_is_left_alone(rows):
    price = Money(amount=1, currency="EUR")
    mine = VariantDraft(sku=rows[0]["sku"], price=price)
    own = ProductDraft(name="Mine", category_id=category_on(0).id, variants=[mine])
    loading.load_products([own], cause="test")
    assert load.load_rows(rows, quiet) == len(rows) - 1
    [variant] = Variant.objects.filter(sku=rows[0]["sku"]).across().rows()
    assert variant.price_amount == 1


@pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)
def test_two_loads_at_once_load_everything_once(rows):
    made = at_once(2, lambda _: load.load_rows(rows, quiet))
    assert sum(made) == len(rows)
    assert Variant.objects.across().count() == len(rows)
    assert Category.objects.count() == len({row["category"] for row in rows})
    assert_the_books_balance()


LOADER = """
import django
django.setup()
from config.demo.load import load_demo
print(load_demo(lambda done, total: print(done, flush=True)))
"""


@pytest.fixture
def start(tmp_path):
    """Starts Python in a shop of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "SHOP_TEST_ENGINE"}
    environment |= {"SHOP_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings", "CONTEXTS": "catalog"}

    def popen(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    return popen


def output_of(process):
    with process:
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return text


@pytest.mark.once
@pytest.mark.django_db(databases=[])
def test_a_load_that_is_killed_is_finished_by_the_next(start):
    # given a load that is killed again and again at whatever point it has reached
    output_of(start("manage.py", "migrate_contexts"))
    for wait in (0.0, 0.06, 0.12, 0.18):
        with start("-c", LOADER) as process:
            process.stdout.readline()
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
    # when it is let be, then something was left to do, and afterwards nothing
    assert 0 < int(output_of(start("-c", LOADER)).split()[-1]) < 3791
    assert int(output_of(start("-c", LOADER)).split()[-1]) == 0


def test_the_sample_orders_name_products_of_the_demo_shop():
    with gzip.open(load.PRODUCTS.with_name("sample_orders.csv.gz"), "rt", encoding="utf-8") as file:
        sold = {line.split(",")[-3] for line in list(file)[1:]}
    assert len(sold) > 1000
    assert sold <= {row["sku"] for row in load.read_rows()}


def test_the_attribution_travels_with_the_data():
    text = load.PRODUCTS.with_name("README.md").read_text()
    assert "CC BY 4.0" in text
    assert "Daqing Chen" in text
