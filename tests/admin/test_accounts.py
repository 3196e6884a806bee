"""Staff accounts in the admin: a superuser makes them, gives them roles and passwords, and switches them off."""

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.urls import reverse

from shop.staff.accounts import InvalidCredentialsError, sign_in
from shop.staff.models import StaffUser

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

PASSWORD, OTHER = "a password of some length", "another one of some length"
NEW = {"email": "Desk@Example.com", "name": "Grace", "password1": PASSWORD, "password2": PASSWORD}
LIST, ADD = (reverse(f"admin:shop_staff_staffuser_{page}") for page in ("changelist", "add"))


def page(account):
    return reverse("admin:shop_staff_staffuser_change", args=[account.pk])


@pytest.fixture
def root(client):
    """Signed in as a superuser."""
    client.force_login(StaffUser.objects.create_superuser("root@example.com", PASSWORD))
    return client


@pytest.fixture
def desk(root):
    """An account made in the admin."""
    assert root.get(ADD).status_code == 200
    made = root.post(ADD, NEW)
    account = StaffUser.objects.get(email="desk@example.com")
    assert (made.status_code, made["Location"]) == (302, page(account))
    return account


def test_a_new_account_signs_in_and_holds_the_roles_it_is_given(root, desk):
    assert sign_in(email="desk@example.com", password=PASSWORD).principal("s").roles == ()
    order_desk = Group.objects.get(name="order_desk")
    change = {"email": desk.email, "name": "Grace", "is_active": "on", "groups": [order_desk.pk]}
    assert root.post(page(desk), change).status_code == 302
    assert sign_in(email="desk@example.com", password=PASSWORD).principal("s").roles == ("order_desk",)


def test_an_account_is_switched_off(root, desk):
    assert root.post(page(desk), {"email": desk.email, "name": "Grace"}).status_code == 302
    with pytest.raises(InvalidCredentialsError):
        sign_in(email="desk@example.com", password=PASSWORD)


def test_an_account_gets_another_password(root, desk):
    there = f"{page(desk).removesuffix('change/')}password/"
    shown = root.get(page(desk)).content
    assert (b"argon2" in shown, b"salt" in shown, b'href="../password/"' in shown) == (True, False, True)
    assert root.get(there).status_code == 200
    sent = {"password1": OTHER, "password2": OTHER, "usable_password": "true"}
    assert root.post(there, sent).status_code == 302
    assert sign_in(email="desk@example.com", password=OTHER) == desk


@pytest.mark.parametrize(
    "wrong",
    [{"email": "root@example.com"}, {"email": "none"}, {"password1": "short", "password2": "short"}],
    ids=["taken", "no address", "too short"],
)
def test_what_is_no_good_account_is_told(root, wrong):
    answer = root.post(ADD, {**NEW, **wrong})
    assert (answer.status_code, b"errorlist" in answer.content) == (200, True)
    assert StaffUser.objects.count() == 1


@pytest.mark.parametrize("role", ["read_only", "catalog_editor", "order_desk"])
def test_others_look_only(root, desk, role):
    reader = StaffUser.objects.create_user("reader@example.com", PASSWORD)
    reader.groups.add(Group.objects.get(name=role))
    root.force_login(reader)
    assert (root.get(LIST).status_code, root.get(page(desk)).status_code) == (200, 200)
    assert b"argon2" not in root.get(page(desk)).content
    there = f"{page(desk).removesuffix('change/')}password/"
    for where in (ADD, page(desk), there):
        assert root.post(where, {**NEW, "email": "new@example.com", "is_superuser": "on"}).status_code == 403
    assert not StaffUser.objects.get(pk=desk.pk).is_superuser


def test_nobody_deletes_an_account(root, desk):
    assert root.post(reverse("admin:shop_staff_staffuser_delete", args=[desk.pk]), {"post": "yes"}).status_code == 403
    assert StaffUser.objects.filter(pk=desk.pk).exists()
