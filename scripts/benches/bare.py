"""All that the API needs from around it: who calls, and an answer that says its length.

No trace, log line, figures, limits, headers, checks.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from shop.gateway.tokens import verify

type Next = Callable[[HttpRequest], HttpResponseBase]


def only_the_caller(get_response: Next) -> Next:
    """The one middleware of the bare shop."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        token = request.META.get("HTTP_AUTHORIZATION")
        if token:
            request.principal = verify(token.removeprefix("Bearer "))  # type: ignore[attr-defined]  # as the pipeline does
        answer = get_response(request)
        if isinstance(answer, HttpResponse):
            answer["Content-Length"] = str(len(answer.content))
        return answer

    return middleware
