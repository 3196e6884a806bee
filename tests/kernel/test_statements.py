"""Statements written by hand: the same on both engines, on the shard they belong to, whole or not at all."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connections

from shop.events.models import OutboxEvent
from shop.http.models import IdempotencyClaim
from shop.sharding import MixedShards, ShardScopeMissing, aliases_of, shard_at_once, shard_atomic
from shop.sharding.ids import compose
from shop.sharding.scope import savepoint
from shop.sharding.statements import Statement, moment, parsed
from shop.sharding.together import change_with_next, insert_if_new, insert_together
from tests.shards import ANOTHER_SHARD

ALIASES = aliases_of("catalog")
LEFT, RIGHT = (compose(bucket=bucket, tick=5, worker=3) for bucket in (7, 4000))
NOW = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
pytestmark = pytest.mark.django_db(databases=ALIASES)

KEYS = Statement.shared("""
    SELECT o.key, o.created_at, o.payload, (SELECT json_group_array(json_array(c.id, c.created_at))
                                            FROM shop_idempotencyclaim c WHERE c.resource_id = o.id)
    FROM shop_outboxevent o WHERE o.id IN (SELECT value FROM json_each(%(ids)s)) AND o.created_at = %(at)s
""")
TAKE_OUT = Statement(
    postgresql="DELETE FROM shop_outboxevent WHERE id = ANY(%(ids)s) RETURNING id",
    sqlite=(
        "DELETE FROM shop_outboxevent WHERE id IN (SELECT value FROM json_each(%(ids)s))",
        "SELECT value FROM json_each(%(ids)s)",
    ),
)


def event(number: int, **fields) -> OutboxEvent:
    return OutboxEvent(
        **{
            "id": number,
            "topic": "catalog.told.v1",
            "key": "é",
            "shard_key": number,
            "event_seq": 1,
            "payload": {"text": "it's 50 %", "deep": [1, None]},
            "created_at": NOW,
            "available_at": NOW,
            **fields,
        }
    )


def claim(number: int, key: str = "key") -> IdempotencyClaim:
    return IdempotencyClaim(
        id=number,
        principal="customer:1",
        key=key,
        fingerprint="f",
        lease_token="5f8dd1f0-9a3f-4a53-9f1e-2b1b6b1e7c11",
        lease_until=NOW,
        resource_id=LEFT,
        body=b"\x00\xff",
        created_at=NOW,
    )


def test_rows_of_several_tables_are_there_as_they_were_given():
    with shard_atomic("catalog", LEFT):
        insert_together(event(LEFT), event(LEFT + 1, lease_until=NOW), claim(LEFT))
    first, second = OutboxEvent.objects.using("catalog_0").order_by("id")
    assert (first.key, first.payload, first.lease_until) == ("é", {"text": "it's 50 %", "deep": [1, None]}, None)
    assert (first.created_at, second.lease_until) == (NOW, NOW)
    found = IdempotencyClaim.objects.using("catalog_0").get()
    assert (bytes(found.body), str(found.lease_token), found.headers) == (b"\x00\xff", claim(LEFT).lease_token, {})


def test_rows_of_several_tables_are_there_together_or_not_at_all():
    with shard_atomic("catalog", LEFT):
        claim(LEFT).save(using="catalog_0", force_insert=True)
    with pytest.raises(IntegrityError), shard_atomic("catalog", LEFT):
        insert_together(event(LEFT), claim(LEFT + 1))
    assert not OutboxEvent.objects.using("catalog_0").exists()


def test_rows_are_inserted_inside_a_transaction_only():
    with pytest.raises(ShardScopeMissing):
        insert_together(event(LEFT))


def test_a_row_is_inserted_unless_one_like_it_is_there():
    assert insert_if_new("catalog", claim(RIGHT))
    assert not insert_if_new("catalog", claim(RIGHT + 1))
    assert insert_if_new("catalog", claim(RIGHT + 1, key="other"))
    assert list(IdempotencyClaim.objects.using(ALIASES[-1]).values_list("id", flat=True)) == [RIGHT, RIGHT + 1]


@pytest.mark.parametrize(
    "work",
    [lambda: insert_if_new("catalog", claim(RIGHT)), lambda: TAKE_OUT.write("catalog", RIGHT, ids=[RIGHT])],
    ids=["insert", "write"],
)
@ANOTHER_SHARD
def test_nothing_is_written_elsewhere_than_the_open_transaction_is(work):
    with pytest.raises(MixedShards), shard_atomic("catalog", LEFT):
        work()


def test_a_statement_reads_alike_on_both_engines():
    with shard_atomic("catalog", LEFT):
        insert_together(event(LEFT), claim(LEFT), claim(LEFT + 1, "other"))
    [(key, at, payload, claims)] = KEYS.read("catalog", LEFT, ids=[LEFT, LEFT + 1], at=NOW)
    assert (key, moment(at), parsed(payload)["deep"]) == ("é", NOW, [1, None])
    assert [(number, moment(made)) for number, made in sorted(parsed(claims))] == [(LEFT, NOW), (LEFT + 1, NOW)]


def test_what_a_statement_finds_nothing_of_is_an_empty_list():
    with shard_atomic("catalog", LEFT):
        insert_together(event(LEFT))
    [(*_, claims)] = KEYS.read("catalog", LEFT, ids=[LEFT], at=NOW)
    assert parsed(claims) == []


def test_a_statement_writes_alone_and_within_a_transaction_that_is_undone():
    with shard_atomic("catalog", LEFT):
        insert_together(event(LEFT))
    with pytest.raises(ZeroDivisionError), shard_atomic("catalog", LEFT):
        assert TAKE_OUT.write("catalog", LEFT, ids=[LEFT]) == [(LEFT,)]
        raise ZeroDivisionError
    assert OutboxEvent.objects.using("catalog_0").count() == 1
    assert TAKE_OUT.write("catalog", LEFT, ids=[LEFT]) == [(LEFT,)]
    assert not OutboxEvent.objects.using("catalog_0").exists()


def test_large_numbers_arrive_whole():
    """PostgreSQL is sent each number in the size it has, not in that of a guessed field."""
    [(number, time)] = Statement.shared("SELECT %(number)s, %(at)s").read("catalog", LEFT, number=2**62 + 1, at=NOW)
    assert (int(number), moment(time)) == (2**62 + 1, NOW)


def kept(number: int = LEFT, **fields) -> None:
    """Change the claim ``number``, when it suits."""
    change_with_next(
        IdempotencyClaim, {"id": number, "key": "key"}, **{"body": b"\x00'", "headers": {"a": 1}, **fields}
    )


def stored_claim() -> tuple[bytes, object]:
    found = IdempotencyClaim.objects.using("catalog_0").get()
    return bytes(found.body), found.headers


class Undone(Exception):
    pass


@pytest.fixture
def claimed():
    with shard_atomic("catalog", LEFT):
        insert_together(claim(LEFT))


@pytest.mark.parametrize("inserted", [[], [event(LEFT)], [event(LEFT), event(LEFT + 1)]], ids=["none", "one", "two"])
def test_a_change_goes_with_the_next_rows_or_before_the_transaction_ends(claimed, inserted):
    with shard_atomic("catalog", LEFT):
        kept()
        if inserted:
            insert_together(*inserted)
    assert stored_claim() == (b"\x00'", {"a": 1})
    assert OutboxEvent.objects.using("catalog_0").count() == len(inserted)


def test_a_change_is_undone_with_its_transaction(claimed):
    with pytest.raises(Undone), shard_atomic("catalog", LEFT):
        kept()
        insert_together(event(LEFT))
        raise Undone
    with pytest.raises(Undone), shard_atomic("catalog", LEFT):
        kept()
        raise Undone
    with shard_atomic("catalog", LEFT):
        insert_together(event(LEFT + 1))  # which takes nothing along that another transaction left
    assert stored_claim() == (b"\x00\xff", {})


def test_a_change_within_a_savepoint_is_undone_with_that_one_before_it_is_not(claimed):
    with shard_atomic("catalog", LEFT):
        kept(headers={"before": 1})
        with pytest.raises(Undone), savepoint():
            kept(headers={"within": 1})
            insert_together(event(LEFT))
            raise Undone
        with pytest.raises(Undone), savepoint():
            kept(headers={"within": 2})
            raise Undone
        insert_together(event(LEFT + 1))
    assert stored_claim() == (b"\x00'", {"before": 1})


def test_a_change_that_finds_no_row_changes_none(claimed):
    with shard_atomic("catalog", LEFT):
        kept(LEFT + 1)
        insert_together(event(LEFT))
    assert stored_claim() == (b"\x00\xff", {})


def test_a_change_belongs_into_a_transaction():
    with pytest.raises(ShardScopeMissing):
        kept()


COMMITTED = pytest.mark.django_db(databases=ALIASES, transaction=True)


@COMMITTED
def test_rows_that_go_at_once_are_there_afterwards_and_those_who_wait_for_it_are_told():
    told = []
    with shard_at_once("catalog", LEFT):
        insert_together(claim(LEFT))
    with shard_at_once("catalog", LEFT) as scope:
        scope.on_commit(lambda: told.append(OutboxEvent.objects.using(ALIASES[-1]).exists()))
        scope.on_commit(lambda: told.append(OutboxEvent.objects.using("catalog_0").exists()))
        kept()
        insert_together(event(LEFT))
        assert told == []
    assert told == [len(ALIASES) == 1, True]
    assert stored_claim() == (b"\x00'", {"a": 1})


@COMMITTED
def test_of_rows_that_go_at_once_and_break_a_constraint_none_is_there_and_nobody_is_told():
    told = []
    with shard_atomic("catalog", LEFT):
        insert_together(claim(LEFT))
    with pytest.raises(IntegrityError), shard_at_once("catalog", LEFT) as scope:
        scope.on_commit(lambda: told.append("committed"))
        insert_together(event(LEFT), claim(LEFT + 1))
    assert (told, OutboxEvent.objects.using("catalog_0").exists()) == ([], False)


@COMMITTED
def test_who_waits_for_it_and_fails_hinders_nobody():
    told = []
    with shard_at_once("catalog", LEFT) as scope:
        scope.on_commit(lambda: 1 // 0)
        scope.on_commit(lambda: told.append("committed"))
        insert_together(event(LEFT))
    assert told == ["committed"]


@COMMITTED
def test_a_second_statement_does_not_go_at_once():
    if connections["catalog_0"].vendor != "postgresql":
        pytest.skip("on SQLite it is a transaction like any other")
    with pytest.raises(RuntimeError, match="shard_atomic"), shard_at_once("catalog", LEFT):
        insert_together(event(LEFT))
        insert_together(event(LEFT + 1))
    with (
        pytest.raises(RuntimeError, match="shard_atomic"),
        shard_at_once("catalog", LEFT),
        shard_atomic("catalog", LEFT),
    ):
        OutboxEvent.objects.using("catalog_0").count()
        OutboxEvent.objects.using("catalog_0").count()


def test_what_goes_at_once_joins_the_open_transaction_of_its_shard():
    with pytest.raises(Undone), shard_atomic("catalog", LEFT):
        with shard_at_once("catalog", LEFT):
            insert_together(event(LEFT))
        with shard_at_once("catalog", LEFT):
            insert_together(event(LEFT + 1))
        raise Undone
    assert not OutboxEvent.objects.using("catalog_0").exists()


@ANOTHER_SHARD
def test_what_goes_at_once_is_refused_within_another_shards_transaction():
    with pytest.raises(MixedShards), shard_atomic("catalog", LEFT), shard_at_once("catalog", RIGHT):
        pass
