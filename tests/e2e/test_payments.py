"""Payments that take their time, against the real server: told by webhook, found out, late, or cut short by a crash."""

import time

import pytest

from tests.e2e.people import Customer, Staff, eventually, money_apart
from tests.e2e.shopserver import free_port


@pytest.fixture(scope="module")
def teapot(shop):
    return Staff(shop).product("Brown Betty", stock=100, price=2495)


@pytest.fixture
def buyer(shop):
    return Customer(shop)


def finish(shop, payment, status, *more):
    done = shop.manage("fake_payments", "finish", payment["id"], status, *more)
    assert done.returncode == 0, done.stderr
    return done


def test_a_customer_confirms_at_the_provider(shop, staff, buyer, teapot):
    # given a payment that waits for its customer
    order = buyer.order((teapot, 2)).json
    payment = buyer.pay(order, "tok_action").json
    assert payment["status"] == "requires_action"
    # when the provider reports it, three times over
    finish(shop, payment, "captured", "--times", "3")
    # then the order is placed, and the pieces are sold
    eventually(lambda: buyer.read(order)["status"] == "placed", seconds=5)
    assert money_apart(staff) == {}
    assert payment["client_secret"] not in shop.log()


def test_a_lost_answer_is_captured_within_ten_seconds(shop, staff, buyer, teapot):
    order = buyer.order((teapot, 1)).json
    payment = buyer.pay(order, "tok_timeout")
    assert (payment.status, payment.json["status"]) == (201, "pending")
    assert buyer.pay(order).json["code"] == "payment_in_progress"
    began = time.monotonic()
    eventually(lambda: buyer.read(order)["status"] == "placed", seconds=10)
    print(f"captured after {time.monotonic() - began:.1f} s")
    assert money_apart(staff) == {}


def test_money_that_comes_after_the_order_was_cancelled_goes_back(shop, staff, buyer, teapot):
    # given a cancelled order
    order = buyer.order((teapot, 1)).json
    payment = buyer.pay(order, "tok_action").json
    assert buyer.cancel(order).json["status"] == "cancelled"
    # when it is captured all the same
    finish(shop, payment, "captured")
    # then it goes back in full
    eventually(lambda: [r["status"] for r in buyer.read(order)["refunds"]] == ["succeeded"])
    found = buyer.read(order)
    assert (found["status"], found["refunds"][0]["amount"]["amount"]) == ("cancelled", 2495)
    assert money_apart(staff) == {}


def test_a_report_outlives_a_crash_between_its_answer_and_its_effect(fresh_shop):
    # given a payment that waits for its customer
    shop = fresh_shop.start()
    staff = Staff(shop)
    buyer = Customer(shop)
    order = buyer.order((staff.product("Cup", stock=1), 1)).json
    payment = buyer.pay(order, "tok_action").json
    # when the server is killed as soon as it has taken the report
    finish(shop, payment, "captured")
    shop.kill()
    shop.start()
    # then the order is placed
    eventually(lambda: buyer.read(order)["status"] == "placed")
    assert money_apart(staff) == {}


def test_a_crash_while_the_provider_is_slow_loses_no_money(fresh_shop):
    # given an attempt whose answer is lost, and a server that is killed before it could find out
    shop = fresh_shop.start()
    staff = Staff(shop)
    buyer = Customer(shop)
    order = buyer.order((staff.product("Cup", stock=1), 1)).json
    buyer.pay(order, "tok_timeout")
    shop.kill()
    shop.start()
    # then the money counts
    eventually(lambda: buyer.read(order)["status"] == "placed")
    assert money_apart(staff) == {}


def test_an_order_is_complete_when_nobody_can_send_it_back_any_more(fresh_shop):
    shop = fresh_shop.start(RETURN_WINDOW_SECONDS="0")
    staff = Staff(shop)
    buyer = Customer(shop)
    order = buyer.order((staff.product("Cup", stock=1), 1)).json
    buyer.pay(order)
    assert staff.post(order, "shipments", {"carrier": "Royal Mail", "tracking_number": "AB1"}).status == 201
    assert staff.post(order, "deliver", {}).status == 200
    eventually(lambda: buyer.read(order)["status"] == "completed")
    # and it can still be refunded
    assert staff.post(order, "refunds", {"reason": "it broke"}).status == 201
    eventually(lambda: buyer.read(order)["payment_status"] == "refunded")
    assert money_apart(staff) == {}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("finish", "pay_1", "captured"), 2), (("finish",), 2), ((), 2), (("list", "--json"), 0), (("--help",), 0)],
)
def test_the_command_says_what_is_wrong(shop, arguments, code):
    done = shop.manage("fake_payments", *arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert code == 0 or done.stderr.strip()


def test_a_shop_that_is_not_there_is_told_in_one_line(shop, buyer, teapot):
    payment = buyer.pay(buyer.order((teapot, 1)).json, "tok_action").json
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = shop.manage("fake_payments", "finish", payment["id"], "failed", "--url", nowhere)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
