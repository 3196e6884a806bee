"""`manage.py check_invariants` beside a real server: clean while customers come and go, not when work stands still."""

import contextlib
import itertools
import json
import os
import threading
from http.client import HTTPException

from tests.e2e.people import Customer, Staff, eventually, in_parallel

THINKING_SECONDS = 0.3
TOKENS = ("tok_ok", "tok_declined", "tok_ok", "tok_action", "tok_timeout", "tok_ok")
NOWHERE = {"sqlite": "sqlite:////nowhere/at/all.sqlite3", "postgres": "postgres://postgres@127.0.0.1:1/nowhere"}


def check(shop, *arguments, **environment):
    """Exit code, report."""
    done = shop.manage("check_invariants", "--json", *arguments, **environment)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def findings(report):
    return {each["name"]: each["findings"] for each in report["invariants"] if each["findings"]}


class Crowd:
    """Customers and an order desk that do everything there is to do, until they are told to stop."""

    def __init__(self, shop, buyers=3):
        self.staff = Staff(shop)
        self.cups = [self.staff.product(f"Cup {n}", stock=500) for n in range(4)]
        self.buyers = in_parallel([lambda: Customer(shop)] * buyers)
        self.failed = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._buy, args=each) for each in enumerate(self.buyers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _buy(self, number, buyer):
        try:
            for turn in itertools.count(number):
                if self._stopping.is_set():
                    return
                with contextlib.suppress(OSError, HTTPException):
                    self._one_order(buyer, turn)
                self._stopping.wait(THINKING_SECONDS)  # without, the relay is left ever further behind
        except Exception as error:
            self.failed.append(error)

    def _one_order(self, buyer, turn):
        answer = buyer.order((self.cups[turn % 4], 1), (self.cups[(turn + 1) % 4], 2))
        order = answer.json
        if answer.status != 201:
            assert order["code"] == "out_of_stock", answer.body
            return
        paid = buyer.pay(order, TOKENS[turn % len(TOKENS)]).status == 201
        if turn % 3 == 0:
            buyer.cancel(order)
        elif paid and turn % 4 == 0:
            self.staff.post(order, "refunds", {"reason": "a chip"})
        elif paid:
            self.staff.post(order, "shipments", {"carrier": "Royal Mail", "tracking_number": "1"})
            self.staff.post(order, "deliver", {})


def test_a_busy_shop_is_clean(fresh_shop):
    # given a shop at work
    shop = fresh_shop.start()
    with Crowd(shop) as crowd:
        eventually(lambda: len(crowd.staff.orders()) >= 12, seconds=30)
        # when it is looked at
        code, report = check(shop, "--settle", "3")
    assert not crowd.failed, crowd.failed
    # then nothing is wrong with it, and every invariant has looked at something
    assert (code, report["clean"], findings(report)) == (0, True, {}), report
    assert all(each["checked"] > 0 for each in report["invariants"])
    assert [each["number"] for each in report["invariants"]] == [*range(1, 13), None]


def test_work_that_stands_still_is_waited_for_and_then_told(fresh_shop):
    # given a server that hands no event over, and a paid order
    shop = fresh_shop.start(RELAY_PAUSED="1")
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Teapot", stock=10)
    order = buyer.order((teapot, 3)).json
    assert buyer.pay(order).status == 201
    # when it is looked at with little patience, then it is told with every ID
    code, report = check(shop, "--settle", "0", "--wait", "1")
    found = findings(report)
    assert (code, report["clean"], report["complete"], sorted(found)) == (1, False, True, ["10", "9"])
    assert found["9"] == [{"ids": [order["id"], teapot], "detail": "placed, but held"}]
    assert [order["id"] in each["ids"] for each in found["10"]].count(True) == 2
    # and people are told the same, by the same exit code
    shown = shop.manage("check_invariants", "--settle", "0", "--wait", "0", "--only", "9")
    assert (shown.returncode, f" 9  {order['id']}, {teapot}: placed, but held" in shown.stdout) == (1, True)
    assert "broken: 9" in shown.stderr
    # and when somebody begins to work meanwhile, it was only on its way
    shop.kill()
    shop.start()
    assert check(shop, "--settle", "0")[0] == 0


def test_what_can_not_be_asked_is_not_clean(fresh_shop):
    shop = fresh_shop
    assert shop.manage("migrate_contexts").returncode == 0
    # given a database that does not answer
    nowhere = NOWHERE[os.environ.get("SHOP_TEST_ENGINE", "sqlite")]
    answering = [shop.database(alias) for alias in shop.aliases("ordering")[:-1]]
    code, report = check(shop, ORDERING_DATABASES=",".join([*answering, nowhere]))
    assert (code, report["clean"], report["complete"]) == (2, False, False)
    unasked = {each["name"] for each in report["invariants"] if each["unasked"]}
    assert unasked == {"5", "6", "7", "8", "9", "10", "11", "12", "fake_provider"}
    # and a context without another one that it has to ask
    code, report = check(shop, CONTEXTS="ordering")
    assert (code, [each["name"] for each in report["invariants"] if each["unasked"]]) == (2, ["5"])
    # and one that needs nobody: the rest is checked where it lives
    code, report = check(shop, CONTEXTS="catalog")
    assert (code, report["clean"], report["elsewhere"]) == (0, True, [6, 7, 8, 9, 11])
    refused = shop.manage("check_invariants", "--only", "6", CONTEXTS="catalog")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--only: 6 can't be checked here; there are 1, 2, 3, 4, 5, 10, 12" in refused.stderr
    assert shop.manage("check_invariants", "--settle", "soon").returncode == 2
