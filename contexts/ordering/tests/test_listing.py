"""`GET /orders`: pages that neither repeat nor lose an order, on one shard and over all."""

from contexts.ordering.tests.conftest import TEAPOT, Api
from tests.plugin import make_principal


def _pages(api, path, size):
    cursor, seen = "", []
    while cursor is not None:
        page = api.get(f"{path}?limit={size}{cursor and f'&cursor={cursor}'}").json()
        seen.append([order["id"] for order in page["data"]])
        cursor = page["next_cursor"]
    return seen


def test_a_customer_pages_through_their_own_orders_newest_first(api, catalog):
    # given five orders, and one of somebody else
    catalog.stock(TEAPOT, 100)
    ids = [api.order((TEAPOT, 1)).json()["id"] for _ in range(5)]
    Api(make_principal()).order((TEAPOT, 1))
    # when they are listed by two, then each shows once
    assert _pages(api, "orders", 2) == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


def test_staff_page_through_everybodys_orders_of_all_shards(catalog):
    # given orders of customers in the lowest and the highest bucket
    catalog.stock(TEAPOT, 100)
    ids = [Api(make_principal(bucket=bucket)).order((TEAPOT, 1)).json()["id"] for bucket in (0, 4095, 1, 4094, 2)]
    # when staff list them, then all show in the order of their making
    staff = Api(make_principal("staff", "read_only"))
    assert [i for page in _pages(staff, "orders", 2) for i in page] == ids[::-1]


def test_a_cursor_is_of_its_list_only(api, catalog):
    for _ in range(2):
        api.order((TEAPOT, 1))
    cursor = api.get("orders?limit=1").json()["next_cursor"]
    other = Api(make_principal()).get(f"orders?cursor={cursor}")
    assert (other.status_code, other.json()["code"]) == (422, "invalid_cursor")
    assert api.get(f"orders?cursor={cursor[:-1]}").json()["code"] == "invalid_cursor"


def test_a_limit_out_of_range_is_refused(api):
    for limit in ("0", "101", "-1", "x", "9" * 40):
        assert api.get(f"orders?limit={limit}").status_code == 422


def test_customers_see_their_own_orders_whomever_they_name(api, catalog):
    mine, theirs = api.order((TEAPOT, 1)).json(), Api(make_principal()).order((TEAPOT, 1)).json()
    found = api.get(f"orders?customer_id={theirs['customer_id']}").json()["data"]
    assert [order["id"] for order in found] == [mine["id"]]
    # and what is no ID is told to them as to staff
    refused = api.get("orders?customer_id=cus_1")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_id")
