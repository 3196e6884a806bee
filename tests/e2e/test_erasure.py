"""Erasing an account on a real server: whatever is killed meanwhile, it is finished."""

from tests.e2e.people import PASSWORD, Customer, Staff, eventually

NOBODY = {"name": "", "line1": "", "line2": None, "city": "", "region": None, "postal_code": "", "country": "GB"}


def erase(customer):
    return customer.shop.call("DELETE", "/api/v1/auth/me", {"password": PASSWORD}, customer.token).status


def seen(staff, order):
    shown = staff.shop.call("GET", f"/api/v1/ordering/orders/{order['id']}", token=staff.token).json
    return shown["shipping_address"], shown["status"], shown["payment_status"]


def test_an_account_that_was_erased_before_the_server_died_is_erased_everywhere(fresh_shop):
    # given a server that hands over no events, and a customer with an order that is paid
    shop = fresh_shop.start(RELAY_PAUSED="1")
    staff = Staff(shop)
    teapot = staff.product("Teapot", stock=10)
    customer = Customer(shop)
    order = customer.order((teapot, 3)).json
    assert customer.pay(order).status == 201
    # when the account is erased, and the server killed
    assert erase(customer) == 204
    assert seen(staff, order)[0]["city"] == "London"
    shop.kill()
    shop.start()
    # then nobody can sign in, and the order is nobody's: cancelled, paid back, its pieces free
    assert shop.call("POST", "/api/v1/auth/token", customer.who).status == 401
    eventually(lambda: seen(staff, order) == (NOBODY, "cancelled", "refunded"), seconds=30)
    eventually(lambda: staff.stock(teapot) == {"on_hand": 10, "reserved": 0, "available": 10})
    # and the token is good for nothing, and the address somebody else's to take
    eventually(lambda: shop.call("GET", "/api/v1/ordering/orders", token=customer.token).status == 401)
    assert shop.call("POST", "/api/v1/auth/register", customer.who).status == 201
