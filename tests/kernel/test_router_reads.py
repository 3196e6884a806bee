"""Reads of sharded models: one shard, named by a key; anything else is refused."""

import pytest
from django.conf import settings
from django.db import connections
from django.db.models import Q

from shop.sharding import ShardKeyMissing, shard_atomic
from shop.sharding.models import UniqueValue
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT, Item, Notice, Parcel, parcel_in
from tests.shards import ANOTHER_SHARD

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


@pytest.fixture(params=[LEFT, RIGHT], ids=["first shard", "second shard"])
def parcel(request):
    """A parcel with one item, on either shard."""
    made = parcel_in(request.param, label="tea")
    with shard_atomic(CONTEXT, made.pk):
        Item.objects.create(id=made.pk + 1, parcel=made, name="cup")
    return made


READS = {
    "by id": lambda p: Parcel.objects.get(id=p.pk),
    "by pk": lambda p: Parcel.objects.get(pk=p.pk),
    "by id in": lambda p: Parcel.objects.get(id__in=[p.pk, p.pk + 7]),
    "by shard key": lambda p: Parcel.objects.get(owner_id=p.owner_id),
    "by shard key and more": lambda p: Parcel.objects.get(Q(label="tea") | Q(weight=3), owner_id=p.owner_id),
    "in two steps": lambda p: Parcel.objects.filter(label="tea").get(owner_id=p.owner_id),
    "on a key": lambda p: Parcel.objects.on(p.pk).get(label="tea"),
    "on the owner's key": lambda p: Parcel.objects.on(p.owner_id).get(label="tea"),
    "on an alias": lambda p: Parcel.objects.using(p._state.db).get(label="tea"),
    "by foreign key's instance": lambda p: Item.objects.get(parcel=p).parcel,
    "by foreign key's ID": lambda p: Item.objects.get(parcel_id=p.pk).parcel,
    "by a key of what it belongs to": lambda p: Item.objects.get(parcel__owner_id=p.owner_id).parcel,
    "by foreign keys": lambda p: Item.objects.get(parcel__in=[p]).parcel,
    "from the related manager": lambda p: p.items.get(name="cup").parcel,
    "with a join": lambda p: Item.objects.select_related("parcel").get(parcel_id=p.pk).parcel,
    "with a prefetch": lambda p: Parcel.objects.prefetch_related("items").get(pk=p.pk).items.all()[0].parcel,
    "only some columns": lambda p: Parcel.objects.only("label").get(pk=p.pk),
    "as a count": lambda p: p if Parcel.objects.filter(pk=p.pk).count() == 1 else None,
    "as existence": lambda p: p if Parcel.objects.filter(owner_id=p.owner_id).exists() else None,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_with_a_key_finds_its_shard(parcel, read):
    assert read(parcel) == parcel


def test_refreshing_and_deferred_columns_find_the_shard_by_the_instance(parcel):
    with shard_atomic(CONTEXT, parcel.pk):
        Parcel.objects.filter(pk=parcel.pk).update(label="coffee", weight=9)
    parcel.refresh_from_db()
    late = Parcel.objects.only("label").get(pk=parcel.pk)
    assert (parcel.label, late.weight) == ("coffee", 9)


@ANOTHER_SHARD
def test_an_instance_that_remembers_another_database_is_read_where_it_belongs(parcel):
    wrong = next(alias for alias in ALIASES if alias != parcel._state.db)
    parcel._state.db = wrong
    parcel.refresh_from_db()
    assert parcel.label == "tea"
    assert [item.name for item in parcel.items.all()] == ["cup"]


def two(p, q):
    return [p.pk, q.pk]


KEYLESS = {
    "everything": lambda p, q: Parcel.objects.all(),
    "by another column": lambda p, q: Parcel.objects.filter(label="tea"),
    "by a range of IDs": lambda p, q: Parcel.objects.filter(id__gte=p.pk),
    "one key or something else": lambda p, q: Parcel.objects.filter(Q(id=p.pk) | Q(label="tea")),
    "two keys by or": lambda p, q: Parcel.objects.filter(Q(id=p.pk) | Q(id=q.pk)),
    "all but one": lambda p, q: Parcel.objects.exclude(id=p.pk),
    "not in": lambda p, q: Parcel.objects.filter(~Q(id__in=[p.pk])),
    "IDs of two shards": lambda p, q: Parcel.objects.filter(id__in=two(p, q)),
    "keys of two shards": lambda p, q: Parcel.objects.filter(id=p.pk, owner_id=q.owner_id),
    "through a join": lambda p, q: Item.objects.filter(parcel__label="tea"),
    "by a subquery": lambda p, q: Parcel.objects.filter(id__in=Item.objects.on(p.pk).values("parcel_id")),
}


OF_TWO = {"two keys by or", "IDs of two shards", "keys of two shards"}
"""Refused for the shards, which one has only one of."""


@pytest.mark.parametrize(
    "rows", [pytest.param(rows, id=each, marks=[ANOTHER_SHARD] * (each in OF_TWO)) for each, rows in KEYLESS.items()]
)
def test_a_read_without_one_shards_key_is_refused(rows):
    left, right = parcel_in(LEFT), parcel_in(RIGHT)
    with pytest.raises(ShardKeyMissing):
        list(rows(left, right))


@ANOTHER_SHARD
def test_the_refusal_names_both_shards():
    left, right = parcel_in(LEFT), parcel_in(RIGHT)
    with pytest.raises(ShardKeyMissing, match=f"{ALIASES[0]}, {LAST}"):
        list(Parcel.objects.filter(id__in=two(left, right)))


@pytest.mark.parametrize(
    "rows",
    [Parcel.objects.none, lambda: Parcel.objects.filter(id__in=[])],
    ids=["none()", "an empty list of IDs"],
)
def test_a_query_that_can_find_nothing_needs_no_shard(rows):
    assert list(rows()) == []
    assert rows().count() == 0
    assert not rows().exists()


def test_a_keyed_read_within_another_scope_still_goes_to_its_own_shard():
    left, right = parcel_in(LEFT, label="left"), parcel_in(RIGHT, label="right")
    with shard_atomic(CONTEXT, left.pk):
        assert Parcel.objects.get(pk=right.pk).label == "right"


def test_home_models_need_no_key():
    Notice.objects.create(id=1, text="closed")
    assert Notice.objects.get(text="closed")._state.db == "catalog_0"


def test_kernel_tables_are_never_guessed():
    with pytest.raises(ShardKeyMissing, match="using"):
        UniqueValue.objects.count()
    with pytest.raises(ShardKeyMissing, match="using"):
        UniqueValue.objects.create(id=1)
    assert [UniqueValue.objects.using(alias).count() for alias in ALIASES] == [0] * len(ALIASES)


def test_the_default_database_is_no_database():
    assert connections["default"].settings_dict["ENGINE"] == "django.db.backends.dummy"
    assert settings.DATABASES["default"].get("NAME", "") == ""
