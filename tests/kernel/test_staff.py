"""Staff accounts: made, found, signed in; what they may."""

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from shop.sharding.ids import BUCKETS, bucket_of
from shop.sharding.router import staff_home
from shop.staff.accounts import InvalidCredentialsError, active_account, ensure_roles, sign_in, verify_password
from shop.staff.models import ROLES, StaffUser

pytestmark = pytest.mark.django_db(databases=["auth_0"])

PASSWORD = "correct horse battery"


def made(email="desk@example.org", **more):
    return StaffUser.objects.create_user(email, PASSWORD, **more)


def test_an_account_gets_an_id_that_routes():
    assert 0 <= bucket_of(made().pk) < BUCKETS


def test_an_account_is_found_by_its_address_however_it_is_written():
    account = made("  Desk@Example.ORG")
    assert account.email == "desk@example.org"
    assert sign_in(email="DESK@example.org ", password=PASSWORD) == account
    assert StaffUser.objects.get_by_natural_key("Desk@example.org") == account


def test_case_makes_no_second_account():
    made("desk@example.org")
    with pytest.raises(IntegrityError):
        made("Desk@example.org")


def test_a_form_folds_the_address_too():
    account = StaffUser(email="Desk@Example.org", password="!")
    account.clean()
    assert account.email == "desk@example.org"


@pytest.mark.parametrize(
    ("email", "password"),
    [("desk@example.org", "not the right one"), ("nobody@example.org", PASSWORD), ("", ""), ("%", PASSWORD)],
)
def test_wrong_credentials_open_nothing(email, password):
    made()
    with pytest.raises(InvalidCredentialsError):
        sign_in(email=email, password=password)


def test_an_account_that_is_switched_off_is_not_there():
    account = made(is_active=False)
    assert active_account(account.pk) is None
    with pytest.raises(InvalidCredentialsError):
        sign_in(email=account.email, password=PASSWORD)


def test_an_account_without_a_usable_password_can_not_sign_in():
    account = StaffUser.objects.create_user("desk@example.org", None)
    with pytest.raises(InvalidCredentialsError):
        sign_in(email=account.email, password="")


@pytest.mark.parametrize("stored", [None, "", "!", "no hash"])
def test_what_is_no_stored_password_fits_no_password(stored):
    assert not verify_password(PASSWORD, stored)


def test_every_home_has_the_roles_and_making_them_again_changes_nothing():
    before = set(Group.objects.using(staff_home()).values_list("pk", "name"))
    assert {name for _, name in before} == set(ROLES)
    ensure_roles(staff_home())
    assert set(Group.objects.using(staff_home()).values_list("pk", "name")) == before


def test_a_group_is_a_role_if_it_is_one_of_ours():
    account = made()
    for name in ("order_desk", "superuser", "night shift"):
        account.groups.add(Group.objects.using(staff_home()).get_or_create(name=name)[0])
    assert account.principal("s").roles == ("order_desk",)
    assert not account.principal("s").may("catalog_editor")


def test_a_superuser_may_everything_and_an_account_without_roles_nothing():
    assert StaffUser.objects.create_superuser("root@example.org", PASSWORD).principal("s").may("catalog_editor")
    assert made().principal("s").roles == ()


def test_createsuperuser_makes_an_account_that_can_sign_in_here_and_in_the_admin(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", "--email", "Root@example.org", verbosity=0)
    account = sign_in(email="root@example.org", password=PASSWORD)
    assert account.is_superuser
    assert authenticate(username="ROOT@example.org", password=PASSWORD) == account


def test_createsuperuser_makes_no_second_account(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    made("root@example.org")
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", "--email", "Root@example.org", verbosity=0)
