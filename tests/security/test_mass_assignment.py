"""Fields that nobody offered: every name that any model has, sent to every operation that writes, at every place.

And what the good request of such an operation changes, column by column.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings

from tests.documented import document
from tests.security.operations import Operation, operations, places, replaced, with_fields
from tests.security.world import World, changes, every_row, make_world, stored, undone

pytestmark = pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])

type Place = tuple[str | int, ...]

FREE = ("attributes", "options")  # keys of these are data, kept as they come
VALUES: tuple[Any, ...] = (1, "placed", True, None)
BESIDE = (
    "shop_idempotencyclaim",
    "shop_outboxevent",
    "shop_mail",
    "shop_uniquevalue",
    "shop_uniquetarget",
)  # told, kept, claimed
INDEX = "shop_catalog_product_words"  # SQLite's own tables of the search
CHANGES = """
POST   auth/register                            customer.new
POST   auth/token                               tokenfamily.new refreshtoken.new
POST   auth/staff/token                         tokenfamily.new refreshtoken.new
POST   auth/token/refresh                       tokenfamily.expires_at refreshtoken.new refreshtoken.used_at
POST   auth/token/revoke                        tokenfamily.revoked_at accountsessions.new
POST   auth/password-reset                      passwordreset.new
POST   auth/password-reset/confirm              customer.password passwordreset.gone tokenfamily.revoked_at \
accountsessions.new
PATCH  auth/me                                  customer.name
DELETE auth/me                                  customer.gone address.gone tokenfamily.revoked_at accountsessions.new
POST   auth/me/password                         customer.password tokenfamily.revoked_at accountsessions.new
POST   auth/me/addresses                        address.new
PATCH  auth/me/addresses/<address_id>           address.name address.line2 address.region
DELETE auth/me/addresses/<address_id>           address.gone
POST   catalog/categories                       category.new categorybucket.new
PATCH  catalog/categories/<category_id>         category.name category.slug category.parent_id
DELETE catalog/categories/<category_id>         category.gone categorybucket.gone
POST   catalog/products                         product.new variant.new stocklevel.new stockmovement.new
PATCH  catalog/products/<product_id>            product.name product.description product.attributes product.name_key \
                                                product.search_text product.version product.event_seq product.updated_at
DELETE catalog/products/<product_id>            product.status product.version product.event_seq product.updated_at
POST   catalog/products/<product_id>/variants   variant.new stocklevel.new stockmovement.new product.search_text \
                                                product.version product.event_seq product.updated_at
PATCH  catalog/variants/<variant_id>            variant.options product.version product.event_seq product.updated_at
POST   catalog/variants/<variant_id>/stock/adjustments   stocklevel.on_hand stockmovement.new
PUT    ordering/cart/lines/<variant_id>         cart.version cartline.quantity
DELETE ordering/cart                            cart.version cartline.gone
POST   ordering/cart/checkout                   reservationline.new stocklevel.reserved order.new orderline.new \
                                                timelineentry.new cartline.gone cart.version cart.checkout_version \
                                                cart.checkout_order_id
POST   ordering/orders                          reservationline.new stocklevel.reserved order.new orderline.new \
                                                timelineentry.new
POST   ordering/orders/<order_id>/payments      payment.new paymentevent.new timelineentry.new order.status \
                                                order.payment_status order.placed_at order.event_seq order.updated_at
POST   ordering/orders/<order_id>/cancel        timelineentry.new order.status order.cancel_reason order.event_seq \
                                                order.updated_at
POST   ordering/orders/<order_id>/shipments     shipment.new timelineentry.new order.fulfilment_status order.event_seq \
                                                order.updated_at reservationline.state reservationline.updated_at \
                                                stocklevel.on_hand stocklevel.reserved stockmovement.new
POST   ordering/orders/<order_id>/deliver       shipment.delivered_at shipment.due_at timelineentry.new \
                                                order.fulfilment_status order.event_seq order.updated_at
POST   ordering/orders/<order_id>/refunds       refund.new timelineentry.new
POST   ordering/payments/webhooks/<provider>    unmatchedwebhook.new
"""
"""What the good request of an operation changes: columns of rows that were there, rows that are new or gone."""


def names() -> set[str]:
    """What any model of any app calls anything of it, and the other ways in which Django knows that."""
    found = {"pk"}
    for model in apps.get_models():
        for field in model._meta.get_fields(include_hidden=True):
            found |= {field.name, getattr(field, "attname", field.name), f"{field.name}_id"}
    return {name for name in found if name.isidentifier()}


def objects(each: Operation, world: World) -> Iterator[tuple[Place, set[str]]]:
    """Every object in the operation's good body, and the fields that the document gives it."""
    path, method = "/" + each.template.replace("<", "{").replace(">", "}"), each.route.method.lower()
    shape = document()["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    for place, value in places(each.good(world).body):
        if isinstance(value, dict) and not set(place) & set(FREE):
            yield place, set(shape_at(shape, place)["properties"])


def shape_at(shape: Any, place: Place) -> Any:
    """The schema at a place within another one, whatever alternatives and references lie between."""
    while "properties" not in shape and "items" not in shape:
        if "$ref" in shape:
            shape = document()["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
        else:
            [shape] = [one for one in shape.get("allOf") or shape["anyOf"] if one != {"type": "null"}]
    if not place:
        return shape
    return shape_at(shape["items"] if isinstance(place[0], int) else shape["properties"][place[0]], place[1:])


def refused(each: Operation, world: World, place: Place, fields: dict[str, Any]) -> list[str]:
    """Which of ``fields``, put into the object at ``place``, were not told as unknown there."""
    good = each.good(world)
    inner: Any = good.body
    for step in place:
        inner = inner[step]
    answer = each.send(world, good, replaced(good.body, place, {**inner, **fields}))
    told = {(fault["field"], fault["code"]) for fault in answer.json.get("errors", [])} if answer.body else set()
    prefix = "".join(f"{step}." for step in place)
    missed = [name for name in fields if (f"{prefix}{name}", "unknown_field") not in told]
    if answer.status != 422 or missed:
        return [f"{each} {prefix or 'top level'}: {answer.status}, not told: {missed} {answer.body[:200]!r}"]
    return []


@pytest.mark.once
def test_there_are_names_of_every_app():
    assert names() >= {"pk", "id", "is_superuser", "groups", "groups_id", "customer_id", "status", "on_hand", "sku_key"}
    assert len(names()) > 100


@pytest.mark.once
def test_a_field_of_a_model_that_is_not_documented_is_refused_by_name_wherever_it_stands():
    # given every operation that takes fields, and every object in its body
    world, found, sent = make_world(), [], 0
    before = stored()
    for each in with_fields():
        for place, documented in objects(each, world):
            # when all names but the documented ones are in it
            for value in VALUES:
                found += refused(each, world, place, dict.fromkeys(names() - documented, value))
                sent += 1
    print(f"\n{len(names())} names in {sent} requests")
    # then each of them is told as unknown, and nothing happens
    assert found == []
    assert changes(before, stored()) == []


@pytest.mark.evidence
def test_each_of_them_is_refused_alone_too():
    world, found, sent = make_world(), [], 0
    before = stored()
    for each in with_fields():
        for place, documented in objects(each, world):
            for name in sorted(names() - documented):
                found += refused(each, world, place, {name: 1})
                sent += 1
    print(f"\n{sent:,} requests")
    assert found == []
    assert changes(before, stored()) == []


# ---- what a good request changes ---------------------------------------------------------------------------------


def by_row() -> dict[tuple[str, Any], dict[str, Any]]:
    """Every row by table and first column, which is its key."""
    return {(table, next(iter(row.values()))): row for table, row in every_row()}


def changed(each: Operation, world: World, body: Any = ..., **more: Any) -> set[str]:
    """What the request changes, as `CHANGES` says it."""
    with undone():
        before = by_row()
        answer = each.send(world, each.good(world), body, **more)
        assert answer.status in (200, 201, 202, 204), (str(each), answer.body)
        after = by_row()
    found = set()
    for at in before.keys() | after.keys():
        table = at[0].partition(".")[2]
        if table not in BESIDE and not table.startswith(INDEX):
            found |= {f"{table.rpartition('_')[2]}.{what}" for what in difference(before.get(at), after.get(at))}
    return found


def difference(old: dict[str, Any] | None, new: dict[str, Any] | None) -> set[str]:
    if old is None or new is None:
        return {"new" if old is None else "gone"}
    return {name for name in new if new[name] != old[name]}


def expected() -> dict[str, set[str]]:
    """`CHANGES` by operation."""
    lines = [line.split() for line in CHANGES.strip().splitlines()]
    return {f"{method} /api/v1/{path}": set(what) for method, path, *what in lines}


def writing() -> list[Operation]:
    return [each for each in operations() if each.route.method != "GET"]


def test_a_good_request_changes_what_it_is_for_and_no_other_column():
    world = make_world()
    found = {str(each): changed(each, world) for each in writing()}
    put = _operation("cart/lines/<variant_id>")
    assert found.pop(str(put)) == set()  # what is there is what is asked for
    assert found | {str(put): changed(put, world, {"quantity": 3})} == expected()


def test_what_is_sent_along_where_nothing_is_asked_for_changes_nothing_more():
    # given the operations that write and take no body
    world, everything = make_world(), dict.fromkeys(names(), 1)
    bodiless = [each for each in writing() if not each.route.has_body]
    assert len(bodiless) >= 5
    # when all names stand in one, and behind the address
    query = "?" + "&".join(f"{name}=1" for name in everything)
    found = {str(each): changed(each, world, everything, url=each.url(each.good(world)) + query) for each in bodiless}
    # then it does what it does without
    assert found == {name: what for name, what in expected().items() if name in found}


def test_a_report_of_a_provider_changes_nothing_whatever_stands_in_it():
    # given a payment that waits for its customer, and a report of it that says everything
    world = make_world()
    pay, report = _operation("/payments"), _operation("/webhooks/<provider>")
    payment = pay.send(world, pay.good(world), {"provider": "fake", "token": "tok_action"}).json["id"]
    everything = dict.fromkeys(names() - {"id", "type", "data", "payment_id"}, 1)
    body = {"id": "evt_2", "type": "payment.captured", "data": {"payment_id": payment, **everything}, **everything}
    # then it is stored, and that is all
    assert changed(report, world, body) == {"webhookinbox.new"}


def test_names_of_fields_as_a_products_own_data_are_data():
    world = make_world()
    [each] = [each for each in writing() if str(each) == "PATCH /api/v1/catalog/products/<product_id>"]
    everything = dict.fromkeys(names(), 1)
    assert changed(each, world, {"attributes": everything}) == {
        *("product.attributes", "product.version", "product.event_seq", "product.updated_at")
    }


def _operation(ending: str) -> Operation:
    [found] = [each for each in writing() if each.template.endswith(ending)]
    return found
