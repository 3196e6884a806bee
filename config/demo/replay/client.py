"""The replay as a client of the shop: every step under a key of its own, asked again while the shop is busy.

Keys are claimed as the gateway does it for an Idempotency-Key. So a run that was killed, started again under the same
name, finds what it has done and doubles nothing, for as long as claims are kept.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse

from config.demo.replay.tally import Tally
from shop.contract import ContextError, Principal, RemoteFault, UnavailableError
from shop.events.publishing import actor
from shop.http.idempotency import Claim, InProgressError, claim, finish
from shop.http.problems import RETRY_AFTER_SECONDS, problem_of, status_of
from shop.observability.trace import traced
from shop.services import acting_as, deadline
from shop.sharding.databases import leave_databases

REQUEST_SECONDS: Final = 15.0
"""What a request has."""
TRIES: Final = 120
FIRST_ERROR: Final = 400
FIRST_FAULT: Final = 500

type Work = Callable[[Claim], HttpResponse]


class StoppedError(ContextError):
    """The replay can't go on; the detail says with which invoice, and why."""

    code = "replay_stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a step came to; ``before``: in an earlier run of the same name."""

    status: int
    body: Mapping[str, Any]
    before: bool

    @classmethod
    def of(cls, response: HttpResponse, *, before: bool) -> Self:
        """The answer of a response."""
        return cls(status=response.status_code, body=json.loads(response.content), before=before)

    @property
    def refusal(self) -> str:
        """The problem's code; empty where there is none."""
        return str(self.body["code"]) if self.status >= FIRST_ERROR else ""


class Client:
    """Sends steps for customers, many at once."""

    def __init__(self, run: str, tally: Tally) -> None:
        self.run = run
        self.tally = tally
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let nobody wait for the shop any longer."""
        self._stopping.set()

    def step(self, customer_id: int, name: str, fingerprint: str, work: Work) -> Answer:
        """Do ``work`` once, or find out what it came to; see `attempt`."""
        return self.patiently("ordering", lambda: self.attempt(customer_id, name, fingerprint, work))

    def attempt(self, customer_id: int, name: str, fingerprint: str, work: Work) -> Answer:
        """Claim the step's key, do ``work`` under it, keep the answer.

        Args:
            customer_id: For whom; the claim lies in the customer's bucket, beside what the work writes.
            name: Of the step, within the run.
            fingerprint: What makes it the same step again.
            work: Makes what it makes under the claim's ID, so that it may be repeated.

        Raises:
            KeyReusedError: Another step had this name in the run.
            InProgressError: It is being worked on, or was when that process was killed, half a minute ago at most.
        """
        principal = Principal(id=str(customer_id), role="customer", session_id="replay")
        token = actor.set(principal.id)
        try:
            held = claim("ordering", principal, f"replay/{self.run}/{name}", fingerprint)
            if isinstance(held, HttpResponse):
                return Answer.of(held, before=True)
            return Answer.of(finish(held, _answer_of(held, work)), before=False)
        finally:
            actor.reset(token)

    def patiently[T](self, context: str, work: Callable[[], T]) -> T:
        """``work`` as a request that acts as ``context``, again and again while the shop says "not now".

        Raises:
            StoppedError: It said so for minutes.
        """
        for _ in range(TRIES):
            try:
                with traced(), acting_as(context), deadline(REQUEST_SECONDS):
                    return work()
            except RemoteFault:
                raise  # a bug, though it came from another context
            except (UnavailableError, InProgressError) as error:
                self.tally.add("retried", error.code)
            except (OperationalError, InterfaceError):
                self.tally.add("retried", "database_busy")
            leave_databases()
            if self._stopping.wait(RETRY_AFTER_SECONDS):
                break
        raise StoppedError(detail="the shop is too busy, or a database is away")


def _answer_of(held: Claim, work: Work) -> HttpResponse:
    try:
        return work(held)
    except Exception as error:
        again = isinstance(error, InProgressError)  # a step within this one is not free yet: no answer to keep
        if isinstance(error, ContextError) and not again and status_of(type(error)) < FIRST_FAULT:
            return problem_of(error)
        held.give_up()
        raise
