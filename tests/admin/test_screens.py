"""The staff admin: every table is listed and shown, over all databases, and nothing can be changed."""

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from contexts.catalog.contract import CatalogService
from contexts.ordering.models import Order
from contexts.ordering.tests.conftest import SPOON, TEAPOT, Api
from contexts.ordering.tests.fakes import FakeCatalog
from shop.events.models import OutboxEvent
from shop.services import substitute
from shop.sharding import aliases_of
from shop.sharding.public_ids import number_of
from shop.staff.models import StaffUser
from tests.plugin import make_principal

ALIASES = aliases_of("ordering")
pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def names(models):
    return [model._meta.label for model in models]


@pytest.fixture
def staff(client):
    """Signed in with the least role there is."""
    account = StaffUser.objects.create_user("reader@example.com", "a password of some length")
    account.groups.add(Group.objects.get(name="read_only"))
    client.force_login(account)
    return client


@pytest.fixture
def orders():
    """One order on the first shard and one on the last."""
    catalog = FakeCatalog()
    catalog.stock(TEAPOT, 10)
    catalog.stock(SPOON, 10)
    with substitute(CatalogService, catalog):
        answers = [Api(make_principal(bucket=bucket)).order((TEAPOT, 1), (SPOON, 1)) for bucket in (0, 4095)]
    return [number_of("ord", answer.json()["id"]) for answer in answers]


def test_every_context_has_its_tables_in_the_admin():
    labels = {model._meta.app_label for model in MODELS}
    assert {"shop", "shop_staff", "shop_auth", "shop_catalog", "shop_ordering"} <= labels


@pytest.mark.parametrize("model", MODELS, ids=names(MODELS))
def test_every_table_is_listed(staff, orders, model):
    answer = staff.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
    assert answer.status_code == 200


def test_a_list_shows_rows_of_all_shards_and_each_can_be_opened(staff, orders):
    for model, keys in ((Order, orders), (OutboxEvent, [])):
        where = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        rows = staff.get(reverse(f"{where}_changelist")).context["cl"].result_list
        assert {row._state.db for row in rows} == {ALIASES[0], ALIASES[-1]}
        assert set(keys) <= {row.pk for row in rows}
        for row in rows:
            page = staff.get(reverse(f"{where}_change", args=[row.pk]), {"database": row._state.db})
            assert page.status_code == 200
            assert str(row.pk) in page.content.decode()


@pytest.mark.parametrize("page", ["0", "2", "-1", "100", "101", "9" * 30, "x"])
def test_a_page_that_is_not_there_is_the_nearest_that_is(staff, orders, page, monkeypatch):
    # given a list of several pages
    monkeypatch.setattr(admin.site.get_model_admin(Order), "list_per_page", 1)
    answer = staff.get(reverse("admin:shop_ordering_order_changelist"), {"p": page})
    if answer.status_code == 302:  # Django's own, for what is no page at all
        answer = staff.get(answer["Location"])
    assert answer.status_code == 200
    assert len({row.pk for row in answer.context["cl"].result_list} & set(orders)) == 1


@pytest.mark.parametrize("text", ["1" * 5_000, "9" * 19, "cus_" + "1" * 5_000])
def test_nobody_has_a_key_that_long(staff, orders, text):
    answer = staff.get(reverse("admin:shop_ordering_order_changelist"), {"q": text})
    assert (answer.status_code, list(answer.context["cl"].result_list)) == (200, [])


@pytest.mark.parametrize("key", ["1", "-1", "x", str(2**70)])
def test_a_row_that_is_not_there_is_told(staff, orders, key):
    answer = staff.get(reverse("admin:shop_ordering_order_change", args=[key]))
    assert answer.status_code == 302


@pytest.mark.parametrize("model", MODELS, ids=names(MODELS))
def test_nothing_can_be_added(staff, model):
    answer = staff.post(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add"), {})
    assert answer.status_code == 403


def test_nothing_can_be_changed_or_deleted(staff, orders):
    for action in ("change", "delete"):
        answer = staff.post(reverse(f"admin:shop_ordering_order_{action}", args=[orders[0]]), {"status": "placed"})
        assert answer.status_code == 403
    assert Order.objects.on(orders[0]).get(pk=orders[0]).status == "pending_payment"


def test_secrets_are_on_no_page(staff):
    account = StaffUser.objects.get(email="reader@example.com")
    page = staff.get(reverse("admin:shop_staff_staffuser_change", args=[account.pk]))
    assert account.password not in page.content.decode()


def test_an_account_without_a_role_sees_nothing(client):
    client.force_login(StaffUser.objects.create_user("nobody@example.com", "a password of some length"))
    assert client.get(reverse("admin:shop_ordering_order_changelist")).status_code == 403
