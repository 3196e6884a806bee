"""The table of `docs/router.md`: what the ORM can say about a sharded model is right or refused, never wrong."""

import os
import re

import pytest
from django.db.models import Manager, Model, QuerySet

from shop.sharding.shard_map import forget_shard_map
from shop.sharding.sharded import ShardedModel
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, Parcel
from tests.kernel.router.left_out import LEFT_OUT
from tests.kernel.router.page import GROUPS, PAGE, text
from tests.kernel.router.world import World, plain
from tests.shards import ANOTHER_SHARD

CASES = [pytest.param(case, id=f"{group.title}: {case}") for group in GROUPS for case in group.cases]
ENTRANCES = (QuerySet, Manager, Model)


@pytest.fixture(params=[(LEFT, RIGHT), (RIGHT, LEFT)], ids=["on the first shard", "on the last shard"])
def world(request, probe_tables, monkeypatch):
    # What is pickled names its model, and the probes are in a registry of their own.
    for module in ("base", "fields"):
        monkeypatch.setattr(f"django.db.models.{module}.apps", Parcel._meta.apps)
    yield World(request.param)
    forget_shard_map(CONTEXT)


@ANOTHER_SHARD
@pytest.mark.django_db(databases=ALIASES)
@pytest.mark.parametrize("case", CASES)
def test_it_is_right_or_refused(world, case):
    # given two parcels, each with a copy on the other's shard
    before = world.rows()
    expected = world.run(case.gives) if case.gives else None
    # when
    found, error = None, None
    try:
        with world.transaction(case):
            found = world.run(case.code)
    except Exception as raised:
        error = raised
    # then it answers with what the owner has, or says why not
    if case.refused:
        assert error is not None, f"it was not refused, and answered {found}"
        assert type(error).__name__ == case.refused, repr(error)
        assert case.says in str(error)
        assert world.rows() == before
    else:
        assert error is None, repr(error)
    if case.gives:
        assert found == expected
    if case.then:
        assert world.run(case.then), case.then
    # and neither a copy nor another bucket's row has changed
    if not case.moves:
        assert world.not_teas(world.rows()) == world.not_teas(before)


@ANOTHER_SHARD
@pytest.mark.django_db(databases=ALIASES)
def test_what_differs_in_a_copy_only_is_not_the_same(world):
    assert plain(world.tea) != plain(world.names["stale"])


@pytest.mark.once
def test_the_page_says_what_is_proven():
    if os.environ.get("REWRITE_DOCS"):
        PAGE.write_text(text())
    assert PAGE.read_text() == text(), "docs/router.md is not what the cases say: run this test with REWRITE_DOCS=1"


def public_names():
    """Those of every model, and those that Django makes for a column."""
    columns = {name for field in Parcel._meta.get_fields() for name in (field.name, getattr(field, "attname", ""))}
    columns |= {relation.get_accessor_name() for relation in Parcel._meta.related_objects}
    ours = {*columns, *dir(ShardedModel), "DoesNotExist", "MultipleObjectsReturned", "NotUpdated"}
    made = {name for name in set(dir(Parcel)) - ours if not name.startswith("_")}
    return made | {name for entrance in ENTRANCES for name in dir(entrance) if not name.startswith("_")}


def names_used():
    code = "\n".join(case.code for group in GROUPS for case in group.cases)
    return set(re.findall(r"\.(\w+)\b", code))


@pytest.mark.once
def test_every_public_method_of_the_orm_has_a_case_or_a_reason():
    assert public_names() - names_used() - set(LEFT_OUT) == set()


@pytest.mark.once
def test_every_reason_is_about_a_method_that_exists_and_has_no_case():
    assert set(LEFT_OUT) - public_names() == set()
    assert set(LEFT_OUT) & names_used() == set()
