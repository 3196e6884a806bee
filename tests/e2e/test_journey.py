"""A person's first ten minutes: from nothing to an order that is paid."""

from tests.e2e.people import Customer


def test_register_sign_in_order_pay_read(shop, staff):
    # given a product
    teapot = staff.product("Brown Betty", stock=5, price=2495)
    listed = shop.call("GET", "/api/v1/catalog/products").json["data"]
    assert [product["name"] for product in listed if product["variants"][0]["id"] == teapot] == ["Brown Betty"]
    # when somebody registers, signs in, orders two and pays with a card that is declined and with one that is good
    buyer = Customer(shop)
    order = buyer.order((teapot, 2)).json
    assert buyer.pay(order, "tok_declined").status == 402
    assert buyer.pay(order).status == 201
    # then the order is placed
    found = buyer.read(order)
    assert (found["status"], found["payment_status"], found["total"]["amount"]) == ("placed", "paid", 4990)


def test_every_answer_names_its_request_and_every_error_is_a_problem(shop):
    for method, path, status, code in (
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/ordering/orders", 401, "not_authenticated"),
        ("PUT", "/api/v1/ordering/orders", 405, "method_not_allowed"),
        ("POST", "/api/v1/auth/register", 415, "unsupported_media_type"),
    ):
        answer = shop.call(method, path)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        assert (answer.json["code"], answer.json["trace_id"]) == (code, answer.headers["x-request-id"])


def test_the_pages_for_people_are_there(shop):
    assert all(alias.encode() in shop.call("GET", "/").body for alias in shop.aliases())
    assert shop.call("GET", "/livez").status == 200
    assert shop.call("GET", "/admin/login/").status == 200
