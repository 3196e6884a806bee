"""`kill -9` at bad moments: what was acknowledged is there, what was half done is finished once."""

import contextlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.e2e.people import Customer, Staff, eventually, in_parallel, money_apart


def test_an_order_paid_while_the_relay_stood_is_finished_after_the_crash(fresh_shop):
    # given a server whose relay stands, and a paid order
    shop = fresh_shop.start(RELAY_PAUSED="1")
    staff = Staff(shop)
    teapot = staff.product("Teapot", stock=10)
    buyer = Customer(shop)
    order = buyer.order((teapot, 3)).json
    assert buyer.pay(order).status == 201
    assert staff.stock(teapot) == {"on_hand": 10, "reserved": 3, "available": 7}
    # when it is killed and started as usual
    shop.kill()
    shop.start()
    # then the order is placed and its pieces are sold, once
    eventually(lambda: staff.stock(teapot) == {"on_hand": 7, "reserved": 0, "available": 7})
    assert (buyer.read(order)["status"], buyer.read(order)["payment_status"]) == ("placed", "paid")
    shop.kill()
    shop.start()
    assert staff.stock(teapot) == {"on_hand": 7, "reserved": 0, "available": 7}


@dataclass
class Burst:
    """Customers who order and pay until the server is gone, and what they were told."""

    products: list[str]
    buyers: list[Customer]
    acknowledged: list[tuple[Customer, str]] = field(default_factory=list)
    paid: set[str] = field(default_factory=set)

    def run(self, number: int) -> None:
        buyer, cups = self.buyers[number], self.products[number % 4 :] + self.products[: number % 4]
        with contextlib.suppress(OSError, HTTPException):
            while True:
                answer = buyer.order((cups[0], 1), (cups[1], 1))
                assert answer.status == 201, answer.body
                self.acknowledged.append((buyer, answer.json["id"]))
                if buyer.pay(answer.json).status == 201:
                    self.paid.add(answer.json["id"])

    def pieces(self, status: str) -> Counter[str]:
        """Pieces by variant in all orders of that status, as the shop tells it now."""
        found: Counter[str] = Counter()
        for order in [order for buyer in self.buyers for order in buyer.orders() if order["status"] == status]:
            found.update({line["variant_id"]: line["quantity"] for line in order["lines"]})
        return found


def test_a_crash_in_a_burst_of_orders_loses_nothing(fresh_shop):
    # given a burst of orders and payments
    shop = fresh_shop.start()
    staff = Staff(shop)
    products = [staff.product(f"Cup {n}", stock=1_000) for n in range(4)]
    burst = Burst(products, in_parallel([lambda: Customer(shop)] * 8))
    threads = [threading.Thread(target=burst.run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(burst.paid) >= 40)
    # when it is killed in the middle of it, and started again
    shop.kill()
    for thread in threads:
        thread.join()
    shop.start()
    # then every acknowledged order is there, and every acknowledged payment counts
    for buyer, order_id in burst.acknowledged:
        found = buyer.read({"id": order_id})
        assert found["id"] == order_id
        assert found["status"] in ({"placed"} if order_id in burst.paid else {"placed", "pending_payment"})
    # and the stock is conserved: what left the shelf was sold by an order
    eventually(lambda: {v: 1_000 - staff.stock(v)["on_hand"] for v in products} == burst.pieces("placed"), seconds=40)
    # and nobody was charged for nothing: what the provider holds is what the orders say
    eventually(lambda: money_apart(staff) == {}, seconds=40)
    # and what is held is held by an order, but for one a buyer that a crash before it was written left to expire
    held, waiting = {v: staff.stock(v)["reserved"] for v in products}, burst.pieces("pending_payment")
    assert all(waiting[v] <= held[v] <= waiting[v] + len(burst.buyers) for v in products)
