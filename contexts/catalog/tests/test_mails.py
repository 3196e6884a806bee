"""Mails to staff: a variant is sold out."""

import pytest

from contexts.catalog.models import Variant
from contexts.catalog.tests.factories import new_order, reserve, variant_on
from shop.events.relay import drain
from shop.mail.models import Mail
from shop.sharding import aliases_of
from shop.sharding.public_ids import public_id
from tests.mail_server import send_what_waits

STAFF = "desk@mail.test"


@pytest.fixture
def told(settings):
    settings.CONTEXT_SETTINGS = {**settings.CONTEXT_SETTINGS, "STOCK_EMAIL": STAFF}


def handle_events():
    assert drain(list(aliases_of("catalog")))


def rows():
    return [row for alias in aliases_of("catalog") for row in Mail.objects.using(alias)]


@pytest.mark.parametrize("shard", [0, 1])
def test_staff_are_told_what_is_sold_out_once(told, shard, mailoutbox):
    cup = variant_on(shard, stock=3)
    reserve(new_order(), {cup: 2})
    handle_events()
    assert rows() == []
    # when the last free piece goes
    reserve(new_order(), {cup: 1})
    for _ in range(2):
        handle_events()
        send_what_waits("catalog")
    # then one mail says so
    [mail] = mailoutbox
    variant = Variant.objects.get(pk=cup)
    assert (mail.to, mail.subject) == ([STAFF], f"Sold out: {variant.sku}")
    assert public_id("var", cup) in mail.body


def test_without_an_address_nobody_is_told():
    cup = variant_on(0, stock=1)
    reserve(new_order(), {cup: 1})
    handle_events()
    assert rows() == []


def test_who_wants_it_no_more_is_not_told(told, settings, mailoutbox):
    cup = variant_on(0, stock=1)
    reserve(new_order(), {cup: 1})
    handle_events()
    assert len(rows()) == 1
    settings.CONTEXT_SETTINGS = {**settings.CONTEXT_SETTINGS, "STOCK_EMAIL": ""}
    send_what_waits("catalog")
    assert (mailoutbox, rows()) == ([], [])
