"""Customers who come at fixed times, whatever becomes of them, and write down how it went.

What could not be ordered is ordered again under its Idempotency-Key, until it is acknowledged.
"""

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.documented import undocumented
from tests.e2e.people import ADDRESS, Customer, eventually

BROKEN = 0
ORDERS = "/api/v1/ordering/orders"
SETTLED_WITHIN_SECONDS = 60.0
"""Twice the lease of a key whose request was cut off in the middle."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. Times are of one monotonic clock, in seconds.

    Attributes:
        due: When it was to begin; it did at ``begun``, later if the one before it took long.
        status: Of the answer; `BROKEN` where there was none.
        retry_after: Whether the answer said when to come again.
        code: Of the problem that it is, if so.
    """

    due: float
    begun: float
    over: float
    status: int
    retry_after: bool
    code: str = ""

    @property
    def told_to_come_again(self) -> bool:
        """Whether it is an answer that a lost shard's customer may get."""
        later = {(503, "shard_unavailable"), (503, "unavailable"), (409, "idempotency_in_progress")}
        return (self.status, self.code) in later and self.retry_after


class Visitor(threading.Thread):
    """Reads an order most of the time, now and then orders something, on one connection that is kept open.

    Attributes:
        placed: What was acknowledged: the order's ID by the key under which it was asked for.
        undocumented: What of the answers that were no success the API's document does not know.
    """

    def __init__(self, customer: Customer, variant: str, *, every_seconds: float, orders_every: int = 10) -> None:
        super().__init__(daemon=True)
        self.visits: list[Visit] = []
        self.placed: dict[str, str] = {}
        self.undocumented: list[str] = []
        self._customer, self._variant, self._every, self._orders_every = customer, variant, every_seconds, orders_every
        self._asked_for = secrets.token_hex(8)
        self._order = self.placed["first"] = customer.order((variant, 1), key="first").json["id"]
        self._connection = HTTPConnection("127.0.0.1", customer.shop.port, timeout=20)
        self._over = threading.Event()

    def run(self) -> None:
        """Come until called off."""
        due, number = time.monotonic() + self._every * secrets.randbelow(100) / 100, 0
        while not self._over.wait(max(0.0, due - time.monotonic())):
            begun = time.monotonic()
            self.visits.append(self._visit(number, due, begun))
            due, number = due + self._every, number + 1

    def sign_in(self) -> None:
        """Come with a new token."""
        self._customer.sign_in()

    def call_off(self) -> None:
        """Come no more."""
        self._over.set()
        self.join()
        self._connection.close()

    def settle(self) -> None:
        """Order what was asked for last until it is acknowledged."""
        eventually(self._order_again, seconds=SETTLED_WITHIN_SECONDS)

    def wrong_in_the_books(self) -> Counter[str]:
        """Orders that are lost, unknown, or there twice, after each was asked for once more under its key."""
        for key, order in self.placed.items():
            answer = self._customer.order((self._variant, 1), key=key)
            assert (answer.status, answer.json["id"]) == (201, order)
        shown, told = Counter(order["id"] for order in self._customer.orders()), Counter(self.placed.values())
        return (shown - told) + (told - shown)

    def _order_again(self) -> bool:
        answer = self._customer.order((self._variant, 1), key=self._asked_for)
        if answer.status == 201:
            self.placed[self._asked_for] = answer.json["id"]
        return answer.status == 201

    def _visit(self, number: int, due: float, begun: float) -> Visit:
        ordering = (number + 1) % self._orders_every == 0
        try:
            status, retry_after, told = self._order_something() if ordering else self._look()
        except (OSError, HTTPException):
            self._connection.close()
            return Visit(due, begun, time.monotonic(), BROKEN, retry_after=False)
        over = time.monotonic()
        if ordering and status == 201:
            self.placed[self._asked_for] = told["id"]
            self._asked_for = secrets.token_hex(8)
        return Visit(due, begun, over, status, retry_after, "" if status < 300 else told.get("code", ""))

    def _look(self) -> tuple[int, bool, Any]:
        return self._ask("GET", f"{ORDERS}/{self._order}", None, {})

    def _order_something(self) -> tuple[int, bool, Any]:
        body = {"lines": [{"variant_id": self._variant, "quantity": 1}], "shipping_address": ADDRESS}
        headers = {"Content-Type": "application/json", "Idempotency-Key": self._asked_for}
        return self._ask("POST", ORDERS, json.dumps(body), headers)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, bool, Any]:
        self._connection.request(method, path, body, headers | {"Authorization": f"Bearer {self._customer.token}"})
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status >= 300:
            self.undocumented += undocumented(method, path, answer.status, dict(answer.getheaders()), told)
        return answer.status, answer.headers.get("Retry-After") is not None, json.loads(told)


def percentile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds; of nothing it is not a number."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")
