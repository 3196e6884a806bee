"""The way of a request: the checks in the order that the API promises.

413/415/400 malformed → 401 → 403 → 429 → 400 `idempotency_key_required` → 422 and the operation.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from shop.contract import ForbiddenError, Principal, UnauthenticatedError
from shop.events.publishing import actor
from shop.gateway.body import check_body
from shop.gateway.proxy.forwarding import forward
from shop.gateway.routes import Key, Route, Who, context_at, methods_of
from shop.gateway.tokens import verify
from shop.http.edge import is_sent_on
from shop.http.idempotency import Claim, claim, fingerprint_of, finish
from shop.http.limits import Standing, limits, network_of, show_standing
from shop.http.problems import MalformedRequest, problem, problem_of
from shop.services import acting_as, deadline
from shop.services.calling import user_token
from shop.sharding.binding import bound_url

type Next = Callable[[HttpRequest], HttpResponseBase]

MAX_KEY_LENGTH: Final = 255
SCHEME: Final = "bearer "
BY_ADDRESS: Final = "auth"


class Pipeline:
    """Innermost: checks every request of the route table before its view runs, and keeps answers of claimed keys."""

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Run the view within the request's context and deadline."""
        method = request.method
        with ExitStack() as stack:
            request.stack = stack  # type: ignore[attr-defined]  # closed when this request is over
            answer = self._get_response(request)
            request.method = method
            standing: Standing | None = getattr(request, "standing", None)
            if standing is not None:
                show_standing(answer, standing)
            held: Claim | None = getattr(request, "claim", None)
            if held is None or not isinstance(answer, HttpResponse):
                return answer
            try:
                return finish(held, answer)
            except Exception as error:
                return problem_of(error)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        """Answer with a problem, or let the view run."""
        match = request.resolver_match
        methods = methods_of(match.route) if match else {}
        if not methods:
            return None
        context = context_at(match.route if match else "")
        if (url := bound_url(context)) and not is_sent_on(request):
            return forward(context, url, request, sent_on=True)
        route = methods.get("GET" if request.method == "HEAD" else request.method or "")
        if route is None:
            allowed = {"Allow": ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))}
            return problem(405, "method_not_allowed", f"{request.method} is not possible here", headers=allowed)
        request.method = route.method  # for the views; the server sends only the head of what they answer to HEAD
        try:
            return self._admit(request, route, context)
        except Exception as error:
            return problem_of(error)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn whatever a view of the route table raised into a problem."""
        match = request.resolver_match
        return problem_of(error) if match and methods_of(match.route) else None

    def _admit(self, request: HttpRequest, route: Route, context: str) -> HttpResponse | None:
        stack: ExitStack = request.stack  # type: ignore[attr-defined]  # set in __call__
        structlog.contextvars.bind_contextvars(context=context)
        stack.enter_context(acting_as(context))
        stack.enter_context(deadline(route.timeout_seconds))
        check_body(request, route)
        principal = _principal_of(request, route)
        request.principal = principal  # type: ignore[attr-defined]  # read by the contexts' api
        request.standing = _count(request, route, principal)  # type: ignore[attr-defined]  # shown in __call__
        if principal is None:
            return None
        token = actor.set(principal.id)
        stack.callback(actor.reset, token)
        bearer = user_token.set(request.META["HTTP_AUTHORIZATION"][len(SCHEME) :].strip(" \t"))
        stack.callback(user_token.reset, bearer)
        key = _key_of(request, route)
        if key is None:
            return None
        held = claim(context, principal, key, fingerprint_of(request))
        if isinstance(held, HttpResponse):
            return held
        request.claim = held  # type: ignore[attr-defined]  # read by shop.http.idempotency
        return None


def _principal_of(request: HttpRequest, route: Route) -> Principal | None:
    if route.who is Who.ANYONE:
        return None
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        if route.who is Who.READER:
            return None
        raise UnauthenticatedError(detail="this needs an access token")
    if not header.lower().startswith(SCHEME):
        raise UnauthenticatedError(detail="this needs `Authorization: Bearer <access>`")
    principal = verify(header[len(SCHEME) :].strip(" \t"))
    if not _may(principal, route):
        raise ForbiddenError(detail="this account may not do that")
    return principal


def _count(request: HttpRequest, route: Route, principal: Principal | None) -> Standing | None:
    if route.policy not in limits().policies:
        return None
    if route.limit == BY_ADDRESS:
        return limits().count(route.policy, network_of(request), route.path)
    caller = f"{principal.role}:{principal.id}" if principal else network_of(request)
    return limits().count(route.policy, caller)


def _may(principal: Principal, route: Route) -> bool:
    if principal.role == "staff":
        if route.who is Who.CUSTOMER:
            return False
        return route.who is Who.READER or (principal.may(route.role) if route.role else bool(principal.roles))
    return route.who in (Who.CUSTOMER, Who.CUSTOMER_OR_STAFF, Who.READER)


def _key_of(request: HttpRequest, route: Route) -> str | None:
    given: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if route.key is Key.IGNORED:
        return None
    if given is None:
        if route.key is Key.REQUIRED:
            raise MalformedRequest(400, "idempotency_key_required", "send an Idempotency-Key header")
        return None
    if not (1 <= len(given) <= MAX_KEY_LENGTH and given.isascii() and given.isprintable()):
        raise MalformedRequest(
            400, "idempotency_key_required", "an Idempotency-Key is 1-255 printable ASCII characters"
        )
    return given
