"""Headers that tell browsers what an answer is not for. The outermost middleware puts them on."""

from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase

API: Final = "/api/"
INTERNAL: Final = "/_svc/"
FOR_PROGRAMS: Final = (API, INTERNAL)
OF_API: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"


def protect(request: HttpRequest, answer: HttpResponseBase, *, personal: bool) -> None:
    """Guard an answer of the API, which no browser has to show, and keep a ``personal`` one out of every cache.

    Pages get theirs from Django's own middlewares.
    """
    if personal:
        answer["Cache-Control"] = "no-store"
    if request.path_info.startswith(FOR_PROGRAMS):
        for name, value in OF_API:
            answer[name] = value
        answer.setdefault("Content-Security-Policy", NOTHING)
