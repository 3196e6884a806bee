"""Unique values by the hundred, as loads reserve them: races, and what a broken-off load leaves behind."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from shop.sharding import aliases_of, new_id, shard_atomic, unique
from shop.sharding.models import UniqueTarget, UniqueValue

CONTEXT, KIND = "catalog", "test"

pytestmark = pytest.mark.django_db(databases=aliases_of("catalog"))


def targets(*values):
    return {value: new_id(CONTEXT) for value in values}


def open_values():
    rows = [UniqueValue.objects.using(alias).filter(kind=KIND, state="reserved") for alias in aliases_of(CONTEXT)]
    return sorted(row.value for found in rows for row in found)


def test_many_marks_are_set_in_one_go_or_none():
    first, second = sorted(new_id(CONTEXT, bucket=7) for _ in range(2))
    with shard_atomic(CONTEXT, second):
        unique.mark_created(second)
    with pytest.raises(unique.CreationVoided), shard_atomic(CONTEXT, first):
        unique.mark_created(first, second)
    marked = UniqueTarget.objects.using(aliases_of(CONTEXT)[0]).values_list("pk", flat=True)
    assert list(marked) == [second]


def test_settling_confirms_what_was_made_and_frees_what_was_not():
    about = targets("made", "not made", "confirmed")
    unique.reserve_many(CONTEXT, KIND, about)
    unique.confirm(CONTEXT, KIND, {"confirmed": about["confirmed"]})
    with shard_atomic(CONTEXT, about["made"]):
        unique.mark_created(about["made"])
    assert unique.settle(CONTEXT, KIND, [*about, "unheard of"]) == 2
    owners = {value: unique.owner_of_value(CONTEXT, KIND, value) for value in about}
    assert owners == {**about, "not made": None}
    assert open_values() == []


def test_whoever_was_settled_away_can_not_create_any_more():
    about = targets("slow")
    unique.reserve_many(CONTEXT, KIND, about)
    unique.settle(CONTEXT, KIND, about)
    with pytest.raises(unique.CreationVoided), shard_atomic(CONTEXT, about["slow"]):
        unique.mark_created(about["slow"])


@pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)
def test_of_two_loads_that_want_the_same_values_at_once_one_is_told_they_are_taken():
    values = [f"value {number}" for number in range(300)]

    def reserve(_):
        try:
            unique.reserve_many(CONTEXT, KIND, targets(*values))
        except unique.ValueTaken as taken:
            return "taken" if set(taken.values) <= set(values) else "told of others"
        finally:
            connections.close_all()
        return "reserved"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(reserve, range(4)))
    assert outcomes == ["reserved", "taken", "taken", "taken"]
    assert open_values() == sorted(values)
