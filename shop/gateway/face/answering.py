"""What the callee does with a call that came over HTTP: who calls, how long may it take, run it, and its answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from ninja.errors import HttpError, ValidationError

from shop.contract import (
    ContextError,
    ContractMismatch,
    DeadlineExceeded,
    NotAuthorized,
    Operation,
    RemoteFault,
    Service,
    ServiceUnavailable,
    UnauthenticatedError,
    UnavailableError,
)
from shop.events.publishing import actor
from shop.gateway.face.passing_on import passed_on
from shop.gateway.tokens import verify
from shop.http.edge import is_sent_on
from shop.http.problems import problem, status_of
from shop.services import acting_as, codec, deadline
from shop.services.calling import is_first_hop, user_token
from shop.services.identity import NotVouchedFor, vouched_caller
from shop.services.pipeline import check_call
from shop.services.provider import run
from shop.services.transport import Call
from shop.services.transport.http import DEADLINE, USER
from shop.sharding.binding import bound_url
from shop.sharding.deadlines import statements_within

log = structlog.get_logger(__name__)

SCHEME: Final = "Bearer "
MOST_DIGITS: Final = 9


def believe(context: str, method: str) -> Callable[[HttpRequest], str]:
    """What finds out which context calls, before anything of the body is looked at."""

    def caller_of(request: HttpRequest) -> str:
        given = request.META.get("HTTP_AUTHORIZATION", "")
        caller = vouched_caller(given.removeprefix(SCHEME), context, method, request.body)
        request.caller = caller  # type: ignore[attr-defined]  # read below
        return caller

    return caller_of


def answer(
    request: HttpRequest,
    interface: type[Service],
    provider: Service,
    operation: Operation,
    arguments: Mapping[str, Any],
) -> HttpResponse:
    """Run a method, and give its result as JSON.

    Raises:
        ContextError: What it raised, or what the pipeline refuses.
    """
    caller: str = request.caller  # type: ignore[attr-defined]  # set above
    name = f"{interface.context}.{operation.name}"
    structlog.contextvars.bind_contextvars(context=interface.context, caller=caller)
    if name in settings.SERVICE_KILL_SWITCH:
        raise ServiceUnavailable(detail=f"{name} is switched off")
    check_call(name, operation, arguments, caller)
    if (url := bound_url(interface.context)) and not is_sent_on(request):
        return passed_on(interface.context, url, request, seconds=_seconds(request))
    call = Call(interface=interface, operation=operation, arguments=arguments, caller=caller)
    seconds = min(_seconds(request), operation.timeout_seconds)
    asked = asked_by(_actor(request), _user(request))
    with asked, deadline(seconds), statements_within(seconds), acting_as(interface.context):
        result = codec.dump_answer(operation, run(provider, call))
    return HttpResponse(result, content_type="application/json")


@contextmanager
def asked_by(who: str, token: str) -> Iterator[None]:
    """Run a block in somebody's name, and as what another process has begun."""
    values: list[tuple[ContextVar[Any], Any]] = [(actor, who), (user_token, token), (is_first_hop, False)]
    before = [(variable, variable.set(value)) for variable, value in values]
    try:
        yield
    finally:
        for variable, mark in before:
            variable.reset(mark)


def refusal(_request: HttpRequest, error: Any) -> HttpResponse:
    """An error as a problem, with the data that its class is made from again."""
    if isinstance(error, NotVouchedFor):
        log.warning("call_not_believed", reason=error.detail)
        return problem(401, error.code, error.detail)
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return problem(400, "malformed", "the body is too large, or broke off")
    if isinstance(error, ValidationError | HttpError):
        error = ContractMismatch(detail="the arguments are not what the contract says")
    if not isinstance(error, ContextError):
        log.error("service_fault", error=type(error).__name__, exc_info=error)
        error = RemoteFault(detail="the callee failed")
    status = 403 if isinstance(error, NotAuthorized) else status_of(type(error))
    told = problem(status, error.code, error.detail, error.faults)
    told.content = json.dumps({**json.loads(told.content), **json.loads(codec.dump_error(error))}).encode()
    return told


def _seconds(request: HttpRequest) -> float:
    """Time that the caller has left.

    Raises:
        DeadlineExceeded: None.
        ContractMismatch: It says nothing of it.
    """
    given = request.META.get(f"HTTP_{DEADLINE.upper().replace('-', '_')}", "")
    if not (given.isascii() and given.isdigit() and len(given) <= MOST_DIGITS):
        raise ContractMismatch(detail=f"{DEADLINE} must say how many milliseconds are left")
    if not int(given):
        raise DeadlineExceeded(detail="no time is left")
    return int(given) / 1000


def _user(request: HttpRequest) -> str:
    return str(request.META.get(f"HTTP_{USER.upper().replace('-', '_')}", ""))


def _actor(request: HttpRequest) -> str:
    """Who asked, by the token that the work began with; it only says who it was.

    Nobody, if it is no good any more, or nobody can tell at the moment.
    """
    token = _user(request)
    try:
        return verify(token).id if token else ""
    except (UnauthenticatedError, UnavailableError) as error:
        log.warning("user_not_believed", reason=error.code)
        return ""
