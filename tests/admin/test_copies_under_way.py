"""While a slice moves its rows lie on two databases: lists, figures, sweepers, invariants count each once."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.urls import reverse

from contexts.auth.tests.people import registered
from contexts.catalog.contract import CatalogService
from contexts.catalog.tests.factories import variant_on
from contexts.ordering.models import Order
from contexts.ordering.services.counting import waiting_for_providers
from contexts.ordering.tests.conftest import SPOON, TEAPOT, Api
from contexts.ordering.tests.fakes import FakeCatalog
from shop.events.figures import dead_events, waiting_events
from shop.events.housekeeping import finish_dangling_values
from shop.events.models import InboxEntry
from shop.events.relay import relay
from shop.http.idempotency import forget_old_claims
from shop.http.models import IdempotencyClaim
from shop.invariants.placement import placed_models
from shop.invariants.registry import declared
from shop.invariants.runner import Runner
from shop.observability.figures import Board
from shop.services import substitute
from shop.sharding import (
    alias_of,
    aliases_of,
    context_of_alias,
    hash_bucket,
    hosted_contexts,
    key_of_bucket,
    new_id,
    shard_atomic,
    shard_map,
)
from shop.sharding.models import PlacedModel, UniqueValue
from shop.sharding.public_ids import number_of, public_id
from shop.sharding.readiness import all_aliases
from shop.sharding.scatter import owned
from shop.sharding.sharded import context_of_model
from shop.staff.models import StaffUser
from shop.staff.spread import Rows
from tests.auditing import unfenced
from tests.plugin import make_principal
from tests.shards import ANOTHER_SHARD

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

LISTED = sorted(set(admin.site._registry) & set(placed_models()), key=lambda model: model._meta.label)
ORDERING_LAST = aliases_of("ordering")[-1]
LONG_AGO = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture
def orders(client):
    """A shop with something in nearly every table, on the first shard and on the last; the orders' IDs."""
    for shard in (0, -1):
        registered(client)
        variant_on(shard)
    catalog = FakeCatalog()
    catalog.stock(TEAPOT, 10)
    catalog.stock(SPOON, 10)
    with substitute(CatalogService, catalog):
        callers = [Api(make_principal(bucket=bucket)) for bucket in (0, 4095)]
        made = [caller.order((TEAPOT, 1), (SPOON, 1)).json() for caller in callers]
        assert [caller.pay(order).status_code for caller, order in zip(callers, made, strict=True)] == [201, 201]
    for bucket in (0, 4095):
        unfinished(new_id("ordering", bucket=bucket))
    return [number_of("ord", order["id"]) for order in made]


def unfinished(key):
    """A dead event, a value that nobody confirmed, and a claim that is old."""
    with shard_atomic("ordering", key) as scope:
        entry = InboxEntry(id=key, handler="h", event_id=key, key="k", event_seq=1, state="dead")
        entry.save(using=scope.alias, force_insert=True)
        value = next(each for each in map(str, count(key)) if alias_of("ordering", place_of(each)) == scope.alias)
        UniqueValue.objects.using(scope.alias).create(
            id=place_of(value), kind="k", value=value, target_id=key, state="reserved", reserved_at=LONG_AGO
        )
        IdempotencyClaim.objects.using(scope.alias).update(created_at=LONG_AGO)


def place_of(value):
    return key_of_bucket(hash_bucket("k", value))


@pytest.fixture
def copy_everything():
    """What a move does first, for all tables and in every direction at once."""

    def copy():
        copied = 0
        with ExitStack() as fences_down:
            for alias in all_aliases():
                fences_down.enter_context(unfenced(alias))
            for model in placed_models():
                owners = {alias: list(rows_of(model, alias)) for alias in databases_of(model)}
                for owner, rows in owners.items():
                    for other in set(aliases_of(context_of_alias(owner))) - {owner}:
                        copied += len(QuerySet(model, using=other).bulk_create(rows))
        assert copied > 20

    return copy


def databases_of(model):
    return all_aliases() if issubclass(model, PlacedModel) else aliases_of(context_of_model(model))


def rows_of(model, alias):
    return QuerySet(model, using=alias).filter(owned(shard_map(context_of_alias(alias)), alias))


def lists():
    """By table, how many rows its list counts and which it shows."""
    found = {model._meta.label: Rows(model._default_manager.all()) for model in LISTED}
    return {label: (len(rows), [row.pk for row in rows[0:500]]) for label, rows in found.items()}


def figures():
    board = Board()
    board.read()
    ages = {"shop_outbox_oldest_seconds"}
    return [sample for family in board.collect() if family.name not in ages for sample in family.samples]


def invariants():
    """By invariant what was looked at and found; the one about copies aside."""
    runner = Runner(away={}, told=lambda *_: None, sleep=lambda _: None)
    verdicts = runner.run([each for each in declared() if each.name != "12"], settle_seconds=0, wait_seconds=0)
    return [(verdict.invariant.name, verdict.checked, verdict.findings) for verdict in verdicts]


def counts():
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return waiting_events(tomorrow), dead_events(), waiting_for_providers(tomorrow)


@ANOTHER_SHARD
@pytest.mark.parametrize("report", [lists, figures, invariants, counts], ids=lambda report: report.__name__)
def test_a_report_is_the_same_with_copies_under_way(orders, copy_everything, report):
    before = report()
    copy_everything()
    assert report() == before


@ANOTHER_SHARD
def test_chores_do_each_thing_once(orders, copy_everything):
    # given two values, and the claims of two orders and two payments, to be cleared away
    copy_everything()
    # when
    values = sum(finish_dangling_values(context) for context in hosted_contexts())
    claims = sum(forget_old_claims(context) for context in hosted_contexts())
    # then
    assert values == 2
    assert claims == 4


@ANOTHER_SHARD
def test_every_event_is_relayed_once(orders, copy_everything):
    before = waiting_events(datetime.now(UTC) + timedelta(days=1))
    copy_everything()
    assert sum(relay(alias) for alias in all_aliases()) == before > 0


# ---- looking for something -----------------------------------------------------------------------------------


@pytest.fixture
def staff(client):
    """Signed in with the least role there is."""
    account = StaffUser.objects.create_user("reader@example.com", "a password of some length")
    account.groups.add(Group.objects.get(name="read_only"))
    client.force_login(account)
    return client


def listed(staff, model, **query):
    page = staff.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), query)
    assert page.status_code == 200
    return page.context["cl"]


@ANOTHER_SHARD
@pytest.mark.parametrize("which", [0, -1], ids=["first shard", "last shard"])
def test_an_order_is_found_by_its_id_its_number_and_its_customer(staff, orders, copy_everything, which):
    copy_everything()
    order = Order.objects.get(pk=orders[which])
    for text in (str(order.pk), public_id("ord", order.pk), f" {public_id('cus', order.customer_id)} "):
        found = listed(staff, Order, q=text)
        assert (found.result_count, list(found.result_list)) == (1, [order])
        assert found.result_list[0]._state.db == aliases_of("ordering")[which]


@pytest.mark.parametrize("text", ["nothing", "ord_0", "-1", str(2**70), "1"])
def test_what_is_no_id_finds_nothing(staff, orders, text):
    assert listed(staff, Order, q=text).result_count == 0


@ANOTHER_SHARD
def test_a_list_is_filtered_by_database_and_by_status(staff, orders, copy_everything):
    copy_everything()
    assert [row.pk for row in listed(staff, Order, database=ORDERING_LAST).result_list] == orders[1:]
    assert listed(staff, Order, database="nowhere").result_count == 0
    assert listed(staff, InboxEntry, database="ordering_0", state="dead").result_count == 1
    assert listed(staff, InboxEntry, state="done", q="1").result_count == 0
    paid = Order.objects.get(pk=orders[0]).status
    assert listed(staff, Order, status=paid).result_count == 2
    assert listed(staff, Order, status="expired").result_count == 0


def test_a_list_offers_no_action_and_a_forced_one_does_nothing(staff, orders):
    where = reverse("admin:shop_ordering_order_changelist")
    assert "delete_selected" not in staff.get(where).content.decode()
    staff.post(where, {"action": "delete_selected", "_selected_action": orders, "post": "yes"})
    assert Order.objects.across().count() == 2


@ANOTHER_SHARD
@pytest.mark.parametrize("database", ["", "ordering_0", ORDERING_LAST])
def test_a_row_and_its_history_are_its_owners_wherever_the_link_leads(staff, orders, copy_everything, database):
    copy_everything()
    for page in ("change", "history"):
        answer = staff.get(reverse(f"admin:shop_ordering_order_{page}", args=[orders[1]]), {"database": database})
        assert answer.status_code == 200
        shown = answer.context["original"] if page == "change" else answer.context["object"]
        assert shown._state.db == ORDERING_LAST


def test_a_kernel_row_is_found_without_its_database(staff, orders):
    entry = InboxEntry.objects.using(ORDERING_LAST).filter(state="dead").latest("id")
    answer = staff.get(reverse("admin:shop_inboxentry_history", args=[entry.pk]))
    assert (answer.status_code, answer.context["object"]._state.db) == (200, ORDERING_LAST)


def test_only_the_first_pages_can_be_turned(staff, orders, monkeypatch):
    monkeypatch.setattr("shop.staff.spread.MOST_PAGES", 1)
    monkeypatch.setattr("shop.staff.screens.ReadOnlyAdmin.list_per_page", 1)
    found = listed(staff, Order, p=2)
    assert (found.result_count, len(found.result_list), found.paginator.num_pages) == (2, 1, 1)
