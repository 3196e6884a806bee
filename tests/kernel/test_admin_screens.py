"""The admin: every table has a screen, on every database, and none shows a secret."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from contexts.auth import services
from contexts.auth.models import Customer, RefreshToken
from shop.sharding.readiness import all_aliases
from shop.staff.models import StaffUser

OURS = [model for config in apps.get_app_configs() if config.label.startswith("shop") for model in config.get_models()]
PASSWORD = "correct horse battery"
pytestmark = pytest.mark.django_db(databases=all_aliases())


@pytest.fixture
def staff():
    client = Client(HTTP_HOST="localhost")
    client.force_login(StaffUser.objects.create_superuser("root@example.org", PASSWORD))
    return client


def address(model):
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_every_table_has_a_list(model, staff):
    assert model in admin.site._registry
    assert staff.get(address(model)).status_code == 200


def test_a_customers_pages_show_the_address_and_no_hash(staff):
    # given a customer who is signed in
    account = services.register(email="ada@example.org", password=PASSWORD)
    services.sign_in_customer(email="ada@example.org", password=PASSWORD)
    customer = Customer.objects.get(pk=account.customer_id)
    token = RefreshToken.objects.across().rows()[0]
    # when staff look at both, then all is shown but what opens the account
    page = staff.get(f"{address(Customer)}{customer.pk}/change/").content.decode()
    assert "ada@example.org" in page
    assert customer.password not in page
    assert "argon2" not in page
    assert token.secret_hash not in staff.get(f"{address(RefreshToken)}{token.pk}/change/").content.decode()
