"""What jobs ask every few seconds reads what is due, not whole tables: the plans of SQLite, which has no statistics."""

from datetime import UTC, datetime

import pytest
from django.db import connections

from contexts.ordering.models import Order, Payment, Refund, Shipment, WebhookInbox
from shop.sharding import aliases_of, shard_map
from shop.sharding.scatter import owned

ALIAS = "ordering_0"
pytestmark = [pytest.mark.once, pytest.mark.django_db(databases=aliases_of("ordering"))]

POLLS = {
    "ordering_payment_due": Payment.objects.filter(due_at__lte=datetime.now(UTC)).order_by("due_at", "id"),
    "ordering_refund_due": Refund.objects.filter(due_at__lte=datetime.now(UTC)).order_by("due_at", "id"),
    "ordering_webhook_due": WebhookInbox.objects.filter(due_at__lte=datetime.now(UTC)).order_by("due_at", "id"),
    "ordering_shipment_due": Shipment.objects.filter(due_at__lte=datetime.now(UTC)).order_by("due_at", "id"),
    "ordering_order_expiring": Order.objects.filter(
        status="pending_payment", expires_at__lt=datetime.now(UTC)
    ).order_by("expires_at", "id"),
}


@pytest.mark.parametrize("index", POLLS)
def test_a_poll_reads_an_index_of_what_is_due(index):
    if connections[ALIAS].vendor != "sqlite":
        pytest.skip("PostgreSQL plans by what is in the tables")
    plan = POLLS[index].using(ALIAS).filter(owned(shard_map("ordering"), ALIAS)).explain()
    assert f"USING INDEX {index}" in plan
