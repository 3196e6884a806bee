"""What is asked again and again must not read whole tables: the plans of SQLite, which has no statistics to go by."""

from datetime import UTC, datetime

import pytest
from django.db import connections
from django.db.models import Q

from contexts.catalog.models import Product, ReservationLine
from shop.events import relay, retention
from shop.events.models import InboxEntry, OutboxEvent
from shop.mail.models import Mail
from shop.sharding import shard_map
from shop.sharding.scatter import keyset, owned

ALIAS = "catalog_0"
NEWEST = ("-created_at", "-id")
pytestmark = [pytest.mark.once, pytest.mark.django_db(databases=[ALIAS])]


@pytest.fixture(autouse=True)
def only_here():
    if connections[ALIAS].vendor != "sqlite":
        pytest.skip("PostgreSQL plans by what is in the tables")


def plan(rows):
    return rows.using(ALIAS).filter(owned(shard_map("catalog"), ALIAS)).explain()


def test_the_polls_of_relay_and_sweepers_read_what_is_due_only():
    now, free = datetime.now(UTC), Q(lease_until=None) | Q(lease_until__lt=datetime.now(UTC))
    outbox = OutboxEvent.objects.filter(free, state="pending", available_at__lte=now)
    inbox = InboxEntry.objects.filter(free, state="retry", next_at__lte=now)
    mails, ended = Mail.objects.filter(due_at__lte=now), Mail.objects.filter(ended_at__lt=now)
    held = ReservationLine.objects.filter(state="held", expires_at__lt=now)
    assert "USING INDEX shop_outbox_due" in plan(outbox.order_by("available_at", "id"))
    assert "USING INDEX shop_inbox_due" in plan(inbox.order_by("key", "event_seq", "next_at"))
    assert "INDEX shop_mail_due" in plan(mails.order_by("due_at", "id"))
    assert "INDEX shop_mail_ended" in plan(ended.order_by("ended_at", "id").values("pk"))
    assert "USING INDEX catalog_line_expiring" in plan(held.order_by("expires_at", "id"))


@pytest.mark.parametrize(("question", "index"), [(relay.PENDING, "shop_outbox_due"), (relay.FAILED, "shop_inbox_due")])
def test_whether_anything_is_due_is_seen_in_an_index(question, index):
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {question.sqlite[0]}", {"now": "2026-01-01 00:00:00"})
        assert [index in row[-1] for row in cursor.fetchall()] == [True]


@pytest.mark.parametrize(
    ("question", "table"), [(retention.OLD_EVENTS, "shop_outboxevent"), (retention.OLD_ENTRIES, "shop_inboxentry")]
)
def test_where_there_is_something_to_forget_is_seen_in_the_primary_key(question, table):
    values = {"lo": 0, "hi": 4095, "width": 1, "before": "2026-01-01 00:00:00"}
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {question.sqlite[0]}", values)
        plan = [row[-1] for row in cursor.fetchall()]
    assert f"SEARCH {table} USING INDEX sqlite_autoindex_{table}_1 (id>? AND id<?)" in plan


def test_whether_an_event_is_held_back_is_asked_of_its_key_only():
    rows = InboxEntry.objects.filter(handler="h", key="k", event_seq__lt=5, state__in=("retry", "dead"))
    assert "(handler=? AND key=? AND event_seq<?)" in rows.using(ALIAS).explain()


def test_a_page_of_products_begins_where_the_last_one_ended_and_sorts_nothing():
    active = Product.objects.filter(status="active").order_by(*NEWEST)
    first, next_one = plan(active), plan(active.filter(keyset(NEWEST, (datetime.now(UTC), 5))))
    assert "USING INDEX catalog_product_newest" in first
    assert "USING INDEX catalog_product_newest (created_at<?)" in next_one
    assert "TEMP B-TREE" not in first + next_one
