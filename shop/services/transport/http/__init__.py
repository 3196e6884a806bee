"""The provider in another process, over HTTP: `shop.gateway.face` is the other end.

A call is sent again, if it is the first hop of its work: two times at most, within its deadline, and as long as
repetitions are few beside calls. Commands are repeated under their key, as their contract allows; one that was sent and
got no answer in the end is `OutcomeUnknown`.
"""

import json
import time
from typing import Any, Final

from shop.contract import (
    CircuitOpen,
    ContextError,
    ContractMismatch,
    DeadlineExceeded,
    Kind,
    NotAuthorized,
    OutcomeUnknown,
    ServiceUnavailable,
)
from shop.observability.trace import traceparent
from shop.services import codec
from shop.services.calling import is_first_hop, remaining_seconds, user_token
from shop.services.identity import vouch
from shop.services.transport import Call
from shop.services.transport.http.connections import Answer, NoAnswer, NotSent
from shop.services.transport.http.repeating import pauses
from shop.services.transport.http.targets import Target

DEADLINE: Final = "X-Deadline-Milliseconds"
USER: Final = "X-User-Token"
OK: Final = 200
UNAUTHENTICATED: Final = 401
LEAST_SECONDS: Final = 0.001
_AGAIN: Final = frozenset({502, 503, 504})
"""Statuses of who could not carry it out now: ours, or of something in between."""


class Http:
    """Sends calls to one address."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def send(self, call: Call) -> Any:
        """Carry the call there, and its answer back.

        Raises:
            ContextError: As the callee declared.
            ServiceUnavailable: Nobody is there, too many wait for it, or it said so.
            CircuitOpen: It failed too often just now.
            DeadlineExceeded: The time was over; of a query only.
            OutcomeUnknown: A command was sent, and no answer came.
            ContractMismatch: What came back is not what the contract says.
            NotAuthorized: It does not believe who calls.
        """
        body = codec.dump_arguments(call.operation, call.arguments)
        self._target.budget.earn()
        with self._target.place():
            return self._repeated(call, body)

    def _repeated(self, call: Call, body: bytes) -> Any:
        waits, unsure = pauses(), False
        while True:
            try:
                return _answer(call, self._sent(call, body))
            except CircuitOpen:
                if unsure:
                    raise _unknown(call) from None
                raise
            except (NotSent, NoAnswer, _NotNow) as failed:
                unsure = unsure or (call.operation.kind is not Kind.QUERY and isinstance(failed, NoAnswer))
                pause = next(waits, None)
                if pause is None or not self._may_repeat(pause):
                    raise (_unknown(call) if unsure else _error(call, failed)) from failed
                time.sleep(pause)

    def _sent(self, call: Call, body: bytes) -> Answer:
        """One attempt, told to the breaker."""
        context, name = call.interface.context, call.operation.name
        left = max(remaining_seconds() or call.operation.timeout_seconds, LEAST_SECONDS)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {vouch(call.caller, context, name, body)}",
            DEADLINE: str(int(left * 1000)),
            "traceparent": traceparent(),
            USER: user_token.get(),
        }
        with self._target.breaker.watch():
            answer = self._target.connections.send("POST", f"/_svc/{context}/v1/{name}", body, headers, seconds=left)
            if answer.status in _AGAIN and not _code_of(answer):
                raise InBetween(answer.status)
        if answer.status in _AGAIN and _code_of(answer) != ContractMismatch.code:
            raise _NotNow(answer)
        return answer

    def _may_repeat(self, pause: float) -> bool:
        left = remaining_seconds()
        return is_first_hop.get() and (left is None or left > pause) and self._target.budget.spend()


class InBetween(NoAnswer):
    """A proxy answered that it has no answer."""

    def __init__(self, status: int) -> None:
        super().__init__(timed_out=False)
        self.status = status


class _NotNow(Exception):
    """An answer of the callee itself: it can't carry that out now, and others it may."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"status {answer.status}")
        self.answer = answer


def _answer(call: Call, answer: Answer) -> Any:
    if answer.status == OK:
        return codec.load_answer(call.operation, answer.body)
    raise _refusal(call, answer)


def _refusal(call: Call, answer: Answer) -> ContextError:
    """What the callee says as the class it is; what is not of our making is a mismatch."""
    if answer.status == UNAUTHENTICATED:
        return NotAuthorized(detail=f"{call.interface.context} does not believe that {call.caller} calls")
    try:
        return codec.load_error(call.operation, answer.body)
    except (ContractMismatch, ValueError, KeyError, TypeError):
        name = f"{call.interface.context}.{call.operation.name}"
        return ContractMismatch(detail=f"{name}: status {answer.status} is not in its contract")


def _unknown(call: Call) -> OutcomeUnknown:
    return OutcomeUnknown(detail=f"{call.interface.context}.{call.operation.name} was sent, and no answer came")


def _error(call: Call, failed: NotSent | NoAnswer | _NotNow) -> ContextError:
    context, name = call.interface.context, f"{call.interface.context}.{call.operation.name}"
    if isinstance(failed, _NotNow):
        return _refusal(call, failed.answer)
    if isinstance(failed, InBetween):
        return ServiceUnavailable(detail=f"{context} can't be reached: a proxy answers {failed.status}")
    if isinstance(failed, NotSent):
        return ServiceUnavailable(detail=f"{context} can't be reached")
    if failed.timed_out:
        return DeadlineExceeded(detail=f"{name} did not answer in time")
    return ServiceUnavailable(detail=f"{name}: the connection ended")


def _code_of(answer: Answer) -> str:
    """The code of a problem that the callee has written itself; empty for anybody else's answer."""
    try:
        return str(json.loads(answer.body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""
