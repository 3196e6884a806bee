"""A crowd of customers that orders, pays and changes its mind until the server is gone, and all that it was told."""

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from random import Random
from typing import Any

from tests.e2e.people import ADDRESS, Customer, Staff, in_parallel
from tests.e2e.shopserver import Answer, ShopServer

ROOT = "/api/v1/ordering"
TOKENS = {"tok_ok": 6, "tok_declined": 1, "tok_action": 2, "tok_timeout": 1, "tok_slow": 1}
PARCEL = {"carrier": "Royal Mail", "tracking_number": "AB123456789GB"}
PLENTY, SCARCE = 1_000_000, 40
LATER = (429, 503)
IN_PROGRESS = "idempotency_in_progress"


class Gone(Exception):
    """The server did not answer; the request is remembered, to be sent again under its key."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that changes something; ``hear`` makes of its answer what was acknowledged."""

    path: str
    body: Any
    who: Customer | Staff
    key: str
    hear: Callable[[Answer], None]


@dataclass(kw_only=True)
class Acknowledged:
    """An order as its customer was told of it, and what was told of it since."""

    buyer: Customer
    total: int
    pieces: dict[str, int]
    captured: set[str] = field(default_factory=set)
    attempts: set[str] = field(default_factory=set)
    refunds: set[str] = field(default_factory=set)
    cancelled: bool = False
    shipped: bool = False

    def missing(self, shown: Any) -> Iterator[str]:
        """What of it an order, as it is shown now, does not know; empty: it is shown no more."""
        if not shown:
            yield "it is gone"
            return
        payments = {each["id"]: each["status"] for each in shown["payments"]}
        if shown["total"]["amount"] != self.total:
            yield f"its total was {self.total}"
        if {line["variant_id"]: line["quantity"] for line in shown["lines"]} != self.pieces:
            yield f"its lines were {self.pieces}"
        yield from (f"payment {each} is gone" for each in self.attempts - payments.keys())
        yield from (f"payment {each} was captured" for each in self.captured if payments.get(each) != "captured")
        yield from (f"refund {each} is gone" for each in self.refunds - {each["id"] for each in shown["refunds"]})
        if self.cancelled and shown["status"] != "cancelled":
            yield "it was cancelled"
        if self.shipped and shown["fulfilment_status"] != "shipped":
            yield "it was shipped"


class Crowd:
    """Customers, the order desk, and the provider, who repeats himself until he is heard."""

    def __init__(self, shop: ShopServer, size: int, random: Random) -> None:
        self.shop, self.random = shop, random
        self.desk = Staff(shop)
        self.plenty = [self.desk.product(f"Cup {number}", stock=PLENTY) for number in range(4)]
        self.scarce = self.desk.product("Teapot", stock=SCARCE)
        self.buyers = in_parallel([lambda: Customer(shop)] * size)
        self.orders: dict[str, Acknowledged] = {}
        self.unanswered: list[Asked] = []
        self.waiting: list[str] = []
        self.unheard: list[tuple[str, str]] = []
        self.answers = 0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    # ---- a burst -----------------------------------------------------------------------------------------------

    def sign_in(self) -> None:
        """Everybody anew: a token lasts five minutes."""
        in_parallel([self.desk.sign_in, *(buyer.sign_in for buyer in self.buyers)], threads=4)

    def begin(self) -> None:
        """Let everybody loose; each on a thread, with a random of its own."""
        self._stop.clear()
        seeds = [Random(self.random.getrandbits(64)) for _ in self.buyers]
        work = [(self._shop, each) for each in zip(self.buyers, seeds, strict=True)]
        self._threads = [threading.Thread(target=run, args=about) for run, about in work]
        self._threads += [threading.Thread(target=self._act_as_provider)] if self.waiting else []
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _shop(self, buyer: Customer, random: Random) -> None:
        try:
            while not self._stop.is_set():
                if order := self._order(buyer, random):
                    self._pay(order, random)
                    self._change_of_mind(order, random)
        except Gone:
            return

    def _order(self, buyer: Customer, random: Random) -> str | None:
        pieces = {each: random.randint(1, 3) for each in random.sample(self.plenty, random.randint(1, 3))}
        pieces |= {self.scarce: 1} if random.random() < 0.2 else {}
        made: list[str] = []

        def hear(answer: Answer) -> None:
            if answer.status == 201:
                shown = answer.json
                lines = {line["variant_id"]: line["quantity"] for line in shown["lines"]}
                known = Acknowledged(buyer=buyer, total=shown["total"]["amount"], pieces=lines)
                self.orders.setdefault(shown["id"], known)
                made.append(shown["id"])

        if random.random() < 0.5:
            lines = [{"variant_id": variant, "quantity": quantity} for variant, quantity in pieces.items()]
            self._ask(f"{ROOT}/orders", {"lines": lines, "shipping_address": ADDRESS}, buyer, hear)
        else:
            for variant, quantity in pieces.items():
                self._put(buyer, variant, quantity)
            self._ask(f"{ROOT}/cart/checkout", {"shipping_address": ADDRESS}, buyer, hear)
        return made[0] if made else None

    def _put(self, buyer: Customer, variant: str, quantity: int) -> None:
        try:
            buyer.put(variant, quantity)
        except (OSError, HTTPException):
            raise Gone from None

    def _pay(self, order: str, random: Random) -> None:
        [token] = random.choices(list(TOKENS), list(TOKENS.values()))
        known = self.orders[order]

        def hear(answer: Answer) -> None:
            if answer.status == 201:
                known.attempts.add(answer.json["id"])
                if answer.json["status"] == "captured":
                    known.captured.add(answer.json["id"])
                if answer.json["status"] == "requires_action":
                    self.waiting.append(answer.json["id"])

        path = f"{ROOT}/orders/{order}/payments"
        self._ask(path, {"provider": "fake", "token": token}, known.buyer, hear)

    def _change_of_mind(self, order: str, random: Random) -> None:
        known, what = self.orders[order], random.random()

        def cancelled(answer: Answer) -> None:
            known.cancelled |= answer.status == 200

        def shipped(answer: Answer) -> None:
            known.shipped |= answer.status == 201

        def refunded(answer: Answer) -> None:
            known.refunds |= {answer.json["id"]} if answer.status == 201 else set()

        if what < 0.2:
            self._ask(f"{ROOT}/orders/{order}/cancel", {}, known.buyer, cancelled)
        elif what < 0.3:
            self._ask(f"{ROOT}/orders/{order}/shipments", PARCEL, self.desk, shipped)
        elif what < 0.5:
            amount = {"amount": {"amount": 100, "currency": "EUR"}} if random.random() < 0.5 else {}
            self._ask(f"{ROOT}/orders/{order}/refunds", {"reason": "chipped", **amount}, self.desk, refunded)

    def _act_as_provider(self) -> None:
        """One customer is done at the provider; if the shop does not take the report it comes again."""
        payment, status = self.waiting.pop(0), self.random.choice(["captured", "captured", "failed"])
        self._report(payment, status)

    def _report(self, payment: str, status: str) -> None:
        done = self.shop.manage("fake_payments", "finish", payment, status, "--times", "2")
        assert done.returncode in (0, 1), done.stderr
        if done.returncode:
            self.unheard.append((payment, status))

    # ---- what was asked, and not answered ----------------------------------------------------------------------

    def _ask(self, path: str, body: Any, who: Customer | Staff, hear: Callable[[Answer], None]) -> None:
        asked = Asked(path=path, body=body, who=who, key=secrets.token_hex(8), hear=hear)
        if not self._send(asked):
            self.unanswered.append(asked)
            raise Gone

    def _send(self, asked: Asked) -> bool:
        """Whether there was an answer that says something."""
        try:
            answer = self.shop.call("POST", asked.path, asked.body, asked.who.token, asked.key)
        except (OSError, HTTPException):
            return False
        if answer.status in LATER or (answer.status == 409 and answer.json["code"] == IN_PROGRESS):
            return False
        assert answer.status < 500, answer.body
        self.answers += 1
        asked.hear(answer)
        return True

    def ask_again(self) -> int:
        """Send everything again that was not answered; returns how much still is not. A lease may have to lapse."""
        waiting, self.unanswered = self.unanswered, []
        self.unanswered += [asked for asked in waiting if not self._send(asked)]
        return len(self.unanswered)

    def report_again(self) -> int:
        """Let the provider repeat what the shop has not taken; returns how much it still has not."""
        unheard, self.unheard = self.unheard, []
        for payment, status in unheard:
            self._report(payment, status)
        return len(self.unheard)

    # ---- what must be true -------------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        """Every order of the crowd, as the shop tells it now."""
        return {order["id"]: order for buyer in self.buyers for order in buyer.orders()}

    def lost(self, shown: dict[str, Any]) -> list[str]:
        """What was acknowledged and is not there."""
        known = self.orders.items()
        return [f"{order}: {what}" for order, told in known for what in told.missing(shown.get(order, {}))]

    def unknown(self, shown: dict[str, Any]) -> set[str]:
        """Orders that the shop has and nobody was told of."""
        return shown.keys() - self.orders.keys()
