"""The one way of every call, whatever the transport.

kill switch → no open transaction → deadline → caller allowed? → *breaker, with the HTTP transport* → transport
→ (callee: outcome or transaction) → error class → metrics.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import Histogram

from shop.contract import (
    CommandKeyReusedError,
    ContextError,
    DeadlineExceeded,
    InvalidError,
    NotAuthorized,
    Operation,
    RemoteFault,
    Service,
    ServiceUnavailable,
    UnavailableError,
)
from shop.observability.metrics import SERVICE_CALLS
from shop.services.calling import acting_context, called, remaining_seconds
from shop.services.transport import Call, Transport
from shop.sharding.scope import open_transactions

log = structlog.get_logger(__name__)


class CallInsideTransaction(RuntimeError):
    """A service was called while this thread has a transaction open: it could wait for itself, or half-happen."""


class BatchTooLarge(InvalidError):
    """More items than the contract allows in one call."""

    code = "batch_too_large"


def call(
    name: str,
    interface: type[Service],
    operation: Operation,
    arguments: Mapping[str, Any],
    transport_of: Callable[[type[Service]], Transport],
) -> Any:
    """Run one call through the pipeline.

    Args:
        name: Of the operation with its context: ``catalog.reserve``.
        interface: Which service.
        operation: Which method of it.
        arguments: By name.
        transport_of: Where its provider is, now.

    Raises:
        ContextError: What the contract declares, or one of the errors of the transport.
        CallInsideTransaction: A transaction is open.
    """
    started, outcome = time.perf_counter(), "fault"
    try:
        caller = acting_context()
        _check(name, operation, arguments, caller)
        with called(interface.context, operation.timeout_seconds):
            answer = transport_of(interface).send(Call(interface, operation, arguments, caller))
        outcome = "ok"
        return answer
    except ContextError as error:
        outcome = error.code
        if isinstance(
            error, (*operation.errors, UnavailableError, NotAuthorized, CommandKeyReusedError, BatchTooLarge)
        ):
            raise
        raise _fault(name, error) from error
    except (CallInsideTransaction, ImproperlyConfigured, TypeError) as bug:
        outcome = type(bug).__name__
        raise
    finally:
        _figure(name, outcome).observe(time.perf_counter() - started)


@cache
def _figure(name: str, outcome: str) -> Histogram:
    """Asking prometheus for one by its labels takes longer than counting in it."""
    return SERVICE_CALLS.labels(name, outcome)


def _check(name: str, operation: Operation, arguments: Mapping[str, Any], caller: str) -> None:
    if name in settings.SERVICE_KILL_SWITCH:
        raise ServiceUnavailable(detail=f"{name} is switched off")
    if held := open_transactions():
        raise CallInsideTransaction(f"{name} called inside a transaction on {', '.join(held)}")
    left = remaining_seconds()
    if left is not None and left <= 0:
        raise DeadlineExceeded(detail=f"no time left to call {name}")
    check_call(name, operation, arguments, caller)


def check_call(name: str, operation: Operation, arguments: Mapping[str, Any], caller: str) -> None:
    """What both sides look at: the caller itself, and whoever is called over HTTP.

    Raises:
        NotAuthorized: The contract does not name ``caller``.
        BatchTooLarge: More items than it allows.
    """
    if caller not in operation.callers:
        raise NotAuthorized(detail=f"{caller or 'nobody'} may not call {name}")
    for argument, value in arguments.items():
        if not isinstance(value, str) and isinstance(value, Sequence) and len(value) > operation.max_batch:
            raise BatchTooLarge(detail=f"{name}({argument}) takes at most {operation.max_batch} items")


def _fault(name: str, cause: BaseException) -> RemoteFault:
    log.error("service_fault", operation=name, error=type(cause).__name__, exc_info=cause)
    return RemoteFault(detail=f"{name} failed")
