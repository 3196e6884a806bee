"""Invariant 12: rows on the wrong shard, on two shards, apart from what they belong to, and owners that disagree."""

import pytest
from django.conf import settings

from contexts.catalog.tests.factories import variant_on
from shop.invariants.placement import placed_models
from shop.sharding import alias_of, aliases_of, bucket_of, hash_bucket, new_id, unique
from shop.sharding.first_migrate import even_split
from shop.sharding.models import UniqueTarget, UniqueValue
from shop.sharding.public_ids import public_id
from tests.auditing import broken, checked, plant, plant_on, unfenced
from tests.shards import ANOTHER_SHARD, SHARDS

ALIASES = [alias for alias in settings.DATABASES if alias != "default"]
pytestmark = pytest.mark.django_db(databases=ALIASES)

LEVEL = "INSERT INTO shop_catalog_stocklevel (id, on_hand, reserved, event_seq) VALUES (%s, 0, 0, 0)"
ORDER = """
    INSERT INTO shop_ordering_order (
        id, customer_id, status, payment_status, fulfilment_status, currency, subtotal, discount_total, shipping_total,
        tax_total, total, shipping_address, cancel_reason, expires_at, created_at, updated_at, event_seq)
    VALUES (%s, %s, 'placed', 'paid', 'unfulfilled', 'EUR', 1, 0, 0, 0, 1, '{}', '', '2026-01-01 00:00:00+00:00',
            '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00', 1)
"""


def other_shard(key, context="catalog"):
    return next(alias for alias in aliases_of(context) if alias != alias_of(context, key))


@pytest.fixture
def variants():
    return variant_on(0), variant_on(1)


def test_what_was_made_as_usual_is_where_it_belongs(variants):
    assert broken("12") == {}
    # products, variants, levels, movements, events; marks, and values once more by their hash; each database's slices
    assert checked("12") == 2 * 5 + 2 + 2 * 2 + len(ALIASES) * SHARDS


def test_every_table_that_is_spread_is_looked_at():
    labels = {model._meta.label for model in placed_models()}
    assert {
        "shop.OutboxEvent",
        "shop.InboxEntry",
        "shop.IdempotencyClaim",
        "shop.Outcome",
        "shop.UniqueTarget",
    } <= labels
    assert {"shop_ordering.OrderLine", "shop_catalog.ReservationLine", "shop_auth.RefreshToken"} <= labels
    assert not {"shop.ShardSlice", "shop.Duty", "shop_catalog.Category", "shop_staff.StaffUser"} & labels


@ANOTHER_SHARD
def test_a_row_on_a_shard_that_does_not_own_its_bucket_is_found(variants):
    # given rows of both shards that are on the other one: a context's, and the kernel's
    strays = [new_id("catalog", near=variant) for variant in variants]
    for stray in strays:
        plant_on(other_shard(stray), LEVEL, stray)
        with unfenced(other_shard(stray)):
            UniqueTarget.objects.using(other_shard(stray)).create(id=stray)
    found = broken("12")
    assert sorted(found) == sorted(
        (public_id(prefix, stray),) for stray in strays for prefix in ("var", "uniquetarget")
    )
    bucket, here, there = bucket_of(strays[0]), other_shard(strays[0]), alias_of("catalog", strays[0])
    assert found[public_id("var", strays[0]),] == f"is on {here}; bucket {bucket} is {there}'s, where it is not"


@ANOTHER_SHARD
def test_a_row_that_is_on_two_shards_is_found(variants):
    for variant in variants:
        plant_on(other_shard(variant), LEVEL, variant)
    found = broken("12")
    assert sorted(found) == sorted((public_id("var", variant),) for variant in variants)
    assert all(detail.endswith("where it is too") for detail in found.values())


def test_a_row_in_another_bucket_than_what_it_belongs_to_is_found():
    # given an order on each shard whose customer's bucket is another one, of the same shard or not
    orders = [new_id("ordering", bucket=bucket) for bucket in (7, 4000)]
    for order in orders:
        plant("ordering", order, ORDER, order, new_id("ordering", bucket=8))
    found = broken("12")
    assert sorted(found) == sorted((public_id("ord", order),) for order in orders)
    assert found[public_id("ord", orders[0]),] == "its customer_id lies in bucket 8, itself in bucket 7"


def test_a_unique_value_beside_the_bucket_of_its_hash_is_found():
    # given a SKU on each shard in a bucket where nobody looks for it
    targets = {f"cup-{number}": new_id("catalog") for number in range(20 * SHARDS)}
    unique.reserve_many("catalog", "sku", targets)
    lost = []
    for alias in aliases_of("catalog"):
        row = UniqueValue.objects.using(alias).first()
        moved = new_id("catalog", bucket=hash_bucket(row.kind, row.value) ^ 1)
        plant_on(alias, "UPDATE shop_uniquevalue SET id = %s WHERE id = %s", moved, row.pk)
        lost.append((public_id("uniquevalue", moved),))
    found = broken("12")
    assert sorted(found) == sorted(lost)
    assert not any("cup-" in detail for detail in found.values())


@ANOTHER_SHARD
def test_buckets_that_two_own_or_nobody_are_found():
    assert broken("12") == {}
    # given two databases that both say they own the first part
    (lo, hi), *_, (last_lo, last_hi) = [(lo, hi) for lo, hi, _ in even_split(aliases_of("catalog"))]
    catalog, ordering = (aliases_of(context)[-1] for context in ("catalog", "ordering"))
    plant_on(catalog, "UPDATE shop_shardslice SET owned = %s WHERE lo = %s", True, lo)
    # and a context of whose last part no database says so
    plant_on(ordering, "DELETE FROM shop_shardslice WHERE lo = %s", last_lo)
    assert broken("12") == {
        (f"{catalog}: buckets {lo}-{hi}",): f"the map gives them to catalog_0; {catalog} says that it owns them",
        (f"{ordering}: buckets {last_lo}-{last_hi}",): f"the map gives them to {ordering}; {ordering} says nothing",
    }
