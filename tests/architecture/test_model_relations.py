"""What an import graph can't see: no relation leaves its context, every table says where it lives; each seen red."""

import re
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import models
from django.test.utils import isolate_apps
from django.utils.module_loading import import_string

from shop.contract import Event
from shop.sharding.checks import check_models, check_relations
from shop.sharding.models import KernelModel
from shop.sharding.sharded import HomeModel, ShardedModel
from shop.staff.models import StaffUser
from tests.architecture.tree import ROOT

pytestmark = pytest.mark.once


def fields(label: str, *metas: type, **more: Any) -> dict[str, Any]:
    return {"__module__": __name__, "Meta": type("Meta", metas, {"app_label": label}), **more}


def sharded(name: str, label: str = "shop_catalog", **more: Any) -> Any:
    return type(name, (ShardedModel,), fields(label, ShardedModel.Meta, **more))


def at_home(name: str, label: str = "shop_catalog", **more: Any) -> Any:
    return type(name, (HomeModel,), fields(label, **more))


def bare(name: str, label: str = "shop_catalog", **more: Any) -> Any:
    return type(name, (models.Model,), fields(label, **more))


def kernel(name: str, label: str = "shop", **more: Any) -> Any:
    return type(name, (KernelModel,), fields(label, **more))


def to(target: Any, kind: Any = models.ForeignKey) -> Any:
    return kind(target) if kind is models.ManyToManyField else kind(target, models.CASCADE)


def found(*kinds: Any) -> list[str]:
    return sorted({str(fault.id) for fault in check_models(kinds)})


def test_the_real_models_are_clean_and_there_are_some():
    assert len(list(apps.get_models())) > 10
    assert check_relations(None) == []


@isolate_apps()
def test_what_stays_within_its_context_is_clean():
    order = sharded("Order", "shop_ordering", shard_keys=("customer_id",), customer_id=models.BigIntegerField())
    line = sharded("Line", "shop_ordering", shard_keys=("order_id",), order=to(order))
    category = at_home("Category", parent=models.ForeignKey("self", models.CASCADE, null=True))
    assert found(order, line, category, at_home("Slug", category=to(category))) == []


@isolate_apps()
def test_a_relation_that_may_lead_to_another_shard_is_refused():
    order = sharded("Order", "shop_ordering")
    assert found(order, sharded("Line", "shop_ordering", order=to(order))) == ["shop.E007"]


@isolate_apps()
@pytest.mark.parametrize("manager", ["objects", "everything"])
def test_a_manager_that_does_not_route_is_refused(manager):
    assert found(sharded("Order", "shop_ordering", **{manager: models.Manager()})) == ["shop.E008"]


@isolate_apps()
@pytest.mark.parametrize("kind", [models.ForeignKey, models.OneToOneField, models.ManyToManyField])
@pytest.mark.parametrize("make", [sharded, at_home], ids=["sharded", "home"])
def test_a_relation_to_another_context_is_refused(kind, make):
    customer = make("Customer", "shop_auth")
    order = make("Order", "shop_ordering", customer=to(customer, kind))
    assert "shop.E001" in found(order)


@isolate_apps()
def test_a_relation_by_name_is_refused_too():
    make = sharded("Customer", "shop_auth"), sharded("Order", "shop_ordering", customer=to("shop_auth.Customer"))
    assert found(*make) == ["shop.E001"]


@isolate_apps()
@pytest.mark.parametrize("target", [StaffUser, ContentType, Group, Session])
def test_a_relation_to_staffs_tables_is_refused(target):
    assert found(at_home("Note", author=to(target))) == ["shop.E001"]


@isolate_apps()
def test_a_relation_to_anything_is_refused():
    anything = at_home(
        "Note",
        content_type=to(ContentType),
        object_id=models.BigIntegerField(),
        subject=GenericForeignKey("content_type", "object_id"),
    )
    assert found(anything) == ["shop.E001"]


@isolate_apps()
def test_a_relation_of_the_kernel_to_a_context_is_refused_and_back():
    product = sharded("Product")
    assert found(kernel("Row", product=to(product))) == ["shop.E001"]
    assert found(sharded("Order", row=to(kernel("Other")))) == ["shop.E001"]


@isolate_apps()
def test_a_relation_between_shards_and_home_is_refused_both_ways():
    category, product = at_home("Category"), sharded("Product")
    assert found(sharded("Listed", category=to(category))) == ["shop.E002"]
    assert found(at_home("Featured", product=to(product))) == ["shop.E002"]


@isolate_apps()
def test_a_table_that_does_not_say_where_it_lives_is_refused():
    assert found(bare("Somewhere")) == ["shop.E003"]


@isolate_apps()
@pytest.mark.parametrize("make", [sharded, at_home], ids=["sharded", "home"])
def test_a_join_table_that_does_not_say_where_it_lives_is_refused(make):
    tag = make("Tag")
    assert found(make("Product", tags=to(tag, models.ManyToManyField))) == ["shop.E003"]


@isolate_apps()
def test_a_join_table_that_says_where_it_lives_is_clean():
    tag = sharded("Tag")
    keys = ("product_id", "tag_id")
    through = sharded("Tagging", shard_keys=keys, product=to("shop_catalog.Product"), tag=to(tag))
    product = sharded("Product", tags=models.ManyToManyField(tag, through=through))
    assert found(tag, through, product) == []


@isolate_apps()
def test_a_key_that_counts_up_does_not_route():
    assert found(sharded("Counted", id=models.BigAutoField(primary_key=True))) == ["shop.E004"]


@isolate_apps()
def test_a_key_that_is_no_number_does_not_route():
    assert found(sharded("Named", id=models.CharField(primary_key=True, max_length=20))) == ["shop.E004"]


@isolate_apps()
@pytest.mark.parametrize("names", [("owner_id",), ("parcel",), ("id", "nothing")])
def test_a_shard_key_that_is_no_column_is_refused(names):
    parcel = sharded("Parcel")

    class Item(ShardedModel):
        shard_keys: ClassVar[tuple[str, ...]] = names
        parcel: Any = models.ForeignKey("shop_catalog.Parcel", models.CASCADE)

        class Meta(ShardedModel.Meta):
            app_label = "shop_catalog"

    assert "shop.E005" in found(parcel, Item)


@isolate_apps()
def test_an_aggregate_says_which_events_it_counts():
    counted = models.PositiveIntegerField(default=0)
    assert found(sharded("Product", event_seq=counted)) == ["shop.E006"]
    assert found(sharded("Parcel", tells=(Event,))) == ["shop.E006"]
    assert found(sharded("Item", tells=(Event,), event_seq=models.PositiveIntegerField())) == []


def test_every_event_is_counted_by_one_aggregate():
    # given the events that contexts declare, and the aggregates that say what they tell
    contracts = [import_string(f"contexts.{name}.contract") for name in settings.CONTEXTS]
    declared = [kind for contract in contracts for kind in vars(contract).values() if is_event(kind)]
    told = [event for model in apps.get_models() for event in getattr(model, "tells", ())]
    # then none is left out, and none is counted twice
    assert len(declared) > 10
    assert sorted(told, key=str) == sorted(declared, key=str)


def is_event(kind: Any) -> bool:
    """Not the one that others of a contract are derived from."""
    return isinstance(kind, type) and issubclass(kind, Event) and kind is not Event and not kind.__subclasses__()


def test_each_check_has_a_number_of_its_own():
    numbers = [
        number for path in (ROOT / "shop").rglob("*.py") for number in re.findall(r"shop\.E\d+", path.read_text())
    ]
    assert len(numbers) > 8
    assert len(numbers) == len(set(numbers))
