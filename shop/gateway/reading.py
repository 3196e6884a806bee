"""Pages outside the route table that anybody may read. The gateway's own pages come in here."""

from collections.abc import Callable
from functools import wraps
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from shop.http.problems import problem

METHODS: Final = ("GET", "HEAD")

type View = Callable[..., HttpResponse]


def read_only(view: View) -> View:
    """``view`` for GET and HEAD; any other method is a problem, before anybody asks for a form's token."""

    @csrf_exempt
    @wraps(view)
    def reading(request: HttpRequest, **parts: str) -> HttpResponse:
        if request.method not in METHODS:
            allowed = {"Allow": ", ".join(METHODS)}
            return problem(405, "method_not_allowed", f"{request.method} is not possible here", headers=allowed)
        return view(request, **parts)

    return reading
