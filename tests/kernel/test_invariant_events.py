"""Invariant 10: events that nobody hands over, and events that are lost, are found on either shard."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from contexts.catalog.contract import ProductChanged
from contexts.catalog.models import Product, Variant
from contexts.catalog.services.changing import archive_product
from contexts.catalog.services.stock import adjust
from contexts.catalog.tests.factories import variant_on
from shop.events import publish
from shop.events.models import InboxEntry, OutboxEvent
from shop.events.retention import forget_old_events
from shop.invariants import events_under_way
from shop.sharding import alias_of, new_id, shard_atomic
from shop.sharding.public_ids import public_id
from tests.auditing import broken, checked, plant

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])


@pytest.fixture
def products(deliver_events):
    """Of two products on each shard the first; each has told two events, which are handed over."""
    found = []
    for shard in (0, 1):
        for variant in (variant_on(shard), variant_on(shard)):
            product = Variant.objects.get(pk=variant).product_id
            archive_product(product)
            found.append(product)
    deliver_events()
    return found[::2]


def shown(products):
    return [(public_id("prd", each),) for each in products]


def event_of(product, seq):
    """ID of the product's event with that number."""
    rows = OutboxEvent.objects.using(alias_of("catalog", product))
    return rows.get(key=str(product), event_seq=seq).pk


def test_products_that_have_told_everything_are_clean(products):
    assert broken("10") == {}
    assert checked("10") == 4 + 4  # products, and stock levels that have told nothing


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("DELETE FROM shop_outboxevent WHERE key = %s", "event_seq is 2, the outbox has no event"),
        (
            "DELETE FROM shop_outboxevent WHERE key = %s AND event_seq = 1",
            "the outbox has 1 events, 1 numbers from 2 to 2",
        ),
        (
            "DELETE FROM shop_outboxevent WHERE key = %s AND event_seq = 2",
            "the outbox has 1 events, 1 numbers from 1 to 1",
        ),
        (
            "UPDATE shop_outboxevent SET event_seq = 3 WHERE key = %s AND event_seq = 2",
            "2 events, 2 numbers from 1 to 3",
        ),
        (
            "UPDATE shop_outboxevent SET event_seq = 1 WHERE key = %s AND event_seq = 2",
            "2 events, 1 numbers from 1 to 1",
        ),
        (
            "UPDATE shop_outboxevent SET topic = 'catalog.gone.v1' WHERE key = %s",
            "event_seq is 2, the outbox has no event",
        ),
        ("UPDATE shop_catalog_product SET event_seq = 3 WHERE id = %s", "event_seq is 3, the outbox has 2 events"),
        ("UPDATE shop_catalog_product SET event_seq = 0 WHERE id = %s", "event_seq is 0, the outbox has 2 events"),
    ],
)
def test_numbers_and_events_that_differ_are_found(products, statement, detail):
    for product in products:
        key = product if "_product" in statement else str(product)
        plant("catalog", product, statement, key)
    found = broken("10")
    assert sorted(found) == sorted(shown(products))
    assert all(detail in said for said in found.values())


# ---- what was forgotten --------------------------------------------------------------------------------------


def a_season_later():
    return datetime.now(UTC) + timedelta(days=90)


def left_of(product):
    rows = OutboxEvent.objects.using(alias_of("catalog", product)).filter(key=str(product))
    return sorted(rows.values_list("event_seq", flat=True))


def test_what_was_forgotten_is_not_missed_and_what_comes_then_is_looked_at(products, deliver_events):
    forget_old_events("catalog", a_season_later())
    assert [left_of(product) for product in products] == [[], []]
    assert broken("10") == {}
    # when a third event follows, in time
    for product in products:
        put_back(product)
    deliver_events()
    assert [left_of(product) for product in products] == [[3], [3]]
    assert broken("10") == {}
    # and is lost
    for product in products:
        plant("catalog", product, "DELETE FROM shop_outboxevent WHERE key = %s", str(product))
    found = broken("10")
    assert sorted(found) == sorted(shown(products))
    assert set(found.values()) == {"event_seq is 3, the outbox has no event behind 2, which was forgotten"}


def put_back(product):
    with shard_atomic("catalog", product):
        Product.objects.filter(pk=product).update(event_seq=3)
        publish(ProductChanged(product_id=str(product)), seq=3)


@pytest.mark.parametrize(("lost", "left"), [(1, [2]), (2, [])])
def test_what_was_lost_before_is_still_missed(products, lost, left):
    for product in products:
        plant("catalog", product, "DELETE FROM shop_outboxevent WHERE id = %s", event_of(product, lost))
    forget_old_events("catalog", a_season_later())
    assert [left_of(product) for product in products] == [left, left]
    assert sorted(broken("10")) == sorted(shown(products))


def test_what_is_not_handed_over_is_not_forgotten_nor_what_stands_behind_it(products, deliver_events):
    for product in products:
        plant("catalog", product, "UPDATE shop_outboxevent SET state = 'pending' WHERE id = %s", event_of(product, 1))
    forget_old_events("catalog", a_season_later())
    assert [left_of(product) for product in products] == [[1, 2], [1, 2]]
    # when it is
    deliver_events()
    forget_old_events("catalog", a_season_later())
    assert [left_of(product) for product in products] == [[], []]
    assert broken("10") == {}


def test_an_event_that_comes_back_from_somewhere_is_found(products):
    events = [OutboxEvent.objects.using(alias_of("catalog", each)).get(pk=event_of(each, 2)) for each in products]
    forget_old_events("catalog", a_season_later())
    for product, event in zip(products, events, strict=True):
        with shard_atomic("catalog", product) as scope:
            event.save(using=scope.alias, force_insert=True)
    assert sorted(broken("10")) == sorted(shown(products))


def test_two_aggregates_under_one_number_are_forgotten_apart(deliver_events):
    variants = variant_on(0, stock=1), variant_on(1, stock=1)
    for variant in variants:
        adjust(variant_id=variant, delta=-1, reason="lost")
    deliver_events()
    forget_old_events("catalog", a_season_later())
    assert broken("10") == {}
    for variant in variants:
        statement = "UPDATE shop_forgottenevents SET aggregate = 'shop_catalog.product' WHERE key = %s"
        plant("catalog", variant, statement, str(variant))
    assert sorted(broken("10")) == sorted((public_id("var", variant),) for variant in variants)


def test_an_event_in_another_bucket_than_its_aggregate_is_lost_to_it(products):
    for product in products:
        other = new_id("catalog", bucket=(product >> 51) ^ 1)
        plant("catalog", product, "UPDATE shop_outboxevent SET id = %s WHERE id = %s", other, event_of(product, 1))
    assert sorted(broken("10")) == sorted(shown(products))


def test_two_aggregates_under_one_number_are_told_apart(deliver_events):
    # given a variant's stock level, which has told that the last piece is gone, and one that has lost that event
    variants = variant_on(0, stock=1), variant_on(1, stock=1)
    for variant in variants:
        adjust(variant_id=variant, delta=-1, reason="lost")
    deliver_events()
    assert broken("10") == {}
    for variant in variants:
        plant("catalog", variant, "DELETE FROM shop_outboxevent WHERE key = %s", str(variant))
    assert sorted(broken("10")) == sorted((public_id("var", variant),) for variant in variants)


def test_an_event_that_nobody_hands_over_is_found_with_its_aggregate(products):
    for product in products:
        plant("catalog", product, "UPDATE shop_outboxevent SET state = 'pending' WHERE id = %s", event_of(product, 2))
    found = broken("10")
    assert sorted(found) == sorted(
        (public_id("prd", product), public_id("evt", event_of(product, 2))) for product in products
    )
    assert set(found.values()) == {"catalog.product_archived.v1, number 2, is not handed over"}


def test_what_is_pending_or_tried_again_is_under_way_until_it_is_through(products):
    now = datetime.now(UTC)
    assert not events_under_way(now)
    # given an event that is pending again
    for product in products:
        event = OutboxEvent.objects.using(alias_of("catalog", product)).filter(pk=event_of(product, 2))
        event.update(state="pending", created_at=now)
        assert events_under_way(now)
        assert not events_under_way(now - timedelta(seconds=1))
        event.update(state="handed_over")
        assert not events_under_way(now)
        # and a handler that will be called again, until it has given up
        fields = {"handler": "catalog.x", "event_id": product, "key": "1", "event_seq": 1, "created_at": now}
        entry = InboxEntry(id=new_id("catalog", near=product), state="retry", **fields)
        entry.save(using=alias_of("catalog", product))
        assert events_under_way(now)
        entry.state = "dead"
        entry.save(using=alias_of("catalog", product))
        assert not events_under_way(now)
