"""Looking after the fence: it is mended, renewed by a newer release and left alone by an older one, under traffic."""

import hashlib
import threading
import time

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connections

from shop.sharding import fencing, new_id
from shop.sharding.fence import FUNCTIONS, OPERATIONS, VERSION, _on_postgresql, _on_sqlite, fence_of
from shop.sharding.fencing import fence_faults, install_fence, is_current, remove_fence
from shop.sharding.models import UniqueTarget
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT
from tests.kernel.test_fence import WRITES, accepted

pytestmark = pytest.mark.django_db(databases=ALIASES)

TABLE = UniqueTarget._meta.db_table


def test_a_missing_and_a_sleeping_trigger_are_found_and_mended():
    alias, cursor = "catalog_0", connections["catalog_0"].cursor()
    on_postgresql = connections[alias].vendor == "postgresql"
    trigger = a_trigger(alias)
    drop(alias, trigger.name)
    assert (fence_faults(alias), is_current(alias)) == ([f"trigger {trigger.name} is missing"], False)
    install_fence(alias)
    assert (fence_faults(alias), is_current(alias)) == ([], True)
    if on_postgresql:  # SQLite's can't be switched off
        cursor.execute(f'ALTER TABLE {TABLE} DISABLE TRIGGER "{trigger.name}"')
        assert fence_faults(alias) == [f"trigger {trigger.name} is missing"]
        install_fence(alias)
        assert (fence_faults(alias), is_current(alias)) == ([], True)


def a_trigger(alias):
    return next(each for each in fence_of(alias) if each.table == TABLE)


def drop(alias, name):
    with connections[alias].cursor() as cursor:
        cursor.execute(f'DROP TRIGGER "{name}"' + (f" ON {TABLE}" if cursor.db.vendor == "postgresql" else ""))


def of_another_release(alias, other="shop_fence_insert_0ther"):
    """The fence with one trigger as another release would have put it up."""
    trigger = a_trigger(alias)
    drop(alias, trigger.name)
    with connections[alias].cursor() as cursor:
        cursor.execute(trigger.text.replace(trigger.name, other))
    return trigger.name, other


def triggers_of(alias):
    return {each.name for each in fencing._present(alias) if each.table == TABLE}


def test_an_older_releases_trigger_is_no_fault_and_is_renewed():
    ours, other = of_another_release("catalog_0")
    assert (fence_faults("catalog_0"), is_current("catalog_0")) == ([], False)
    assert accepted("catalog_0", "insert", new_id(CONTEXT, bucket=RIGHT)) == (LAST == "catalog_0")
    install_fence("catalog_0")
    assert ours in triggers_of("catalog_0")
    assert other not in triggers_of("catalog_0")


def test_a_newer_releases_trigger_is_no_fault_and_is_left_alone():
    ours, other = of_another_release("catalog_0", f"shop_fence_insert_{VERSION + 1}_0f70m0rr0w")
    assert (fence_faults("catalog_0"), is_current("catalog_0")) == ([], True)
    install_fence("catalog_0")
    assert other in triggers_of("catalog_0")
    assert ours not in triggers_of("catalog_0")


TEXTS = {1: "b4b11dc39be9"}
"""What the triggers of each version do, by its digest. Another text gets the next number, in `fence.VERSION`."""


def test_another_text_has_another_number():
    texts = FUNCTIONS + "".join(_on_sqlite("t", each, whole) for each in OPERATIONS for whole in (None, 7))
    texts += "".join(_on_postgresql("t", each, whole) for each in OPERATIONS for whole in (None, 7))
    assert hashlib.sha256(texts.encode()).hexdigest()[:12] == TEXTS[VERSION]


def test_a_table_that_this_release_does_not_know_keeps_its_fence():
    with connections["catalog_0"].cursor() as cursor:
        cursor.execute("CREATE TABLE shop_of_tomorrow (id bigint)")
        trigger = a_trigger("catalog_0")
        text = trigger.text.replace(TABLE, "shop_of_tomorrow").replace(trigger.name, "shop_fence_insert_t0m0rr0w")
        cursor.execute(text)
    drop("catalog_0", trigger.name)
    install_fence("catalog_0")
    assert "shop_fence_insert_t0m0rr0w" in {each.name for each in fencing._present("catalog_0")}
    assert fence_faults("catalog_0") == []


def test_a_broken_fence_fails_the_system_check():
    remove_fence(LAST)
    with pytest.raises(SystemCheckError, match=f"{LAST}: trigger"):
        call_command("check", databases=[LAST])


@pytest.fixture
def writer(monkeypatch):
    """A transaction that has written to the table, and is not at its end."""
    if connections["catalog_0"].vendor != "postgresql":
        pytest.skip("SQLite locks no tables")
    monkeypatch.setattr(fencing, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(fencing, "LOCK_MILLISECONDS", 100)
    connection = connections["catalog_0"].copy()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(WRITES["insert"], [new_id(CONTEXT, bucket=LEFT), False])
        yield cursor
        cursor.execute("ROLLBACK")
    connection.close()


@pytest.fixture
def renewed():
    """The fence of an older release, until it is renewed."""
    ours, _ = of_another_release("catalog_0")
    yield ours
    install_fence("catalog_0")


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_a_table_in_use_is_waited_for_in_small_pieces_and_never_bare(renewed, writer, monkeypatch):
    renewing = threading.Thread(target=install_fence, args=["catalog_0"])
    renewing.start()
    try:
        for _ in range(10):  # who comes to the table meanwhile comes through
            began = time.monotonic()
            assert accepted("catalog_0", "insert", new_id(CONTEXT, bucket=LEFT)) == 1
            assert time.monotonic() - began < 2
            assert fence_faults("catalog_0") == []
        assert renewing.is_alive()
    finally:
        writer.execute("ROLLBACK")
        renewing.join()
    assert is_current("catalog_0")


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_a_table_in_use_all_the_time_is_an_error_and_keeps_its_old_fence(renewed, writer, monkeypatch):
    monkeypatch.setattr(fencing, "TRIES", 2)
    with pytest.raises(OperationalError, match="lock timeout"):
        install_fence("catalog_0")
    assert fence_faults("catalog_0") == []
    assert renewed not in triggers_of("catalog_0")
