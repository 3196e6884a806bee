"""The API's document over HTTP: as JSON for programs, as a page for people. `config.urls` comes in."""

import hashlib
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.csp import CSP, build_policy
from django.views.decorators.http import etag

from shop.gateway.openapi import as_json
from shop.gateway.reading import read_only

CACHE_SECONDS: Final = 300
OF_THE_PAGE: Final[dict[str, list[str]]] = {
    "style-src": [CSP.SELF],  # nothing is inline that a nonce would be for
    "img-src": [CSP.SELF, "data:"],  # Swagger UI's stylesheet holds its icons
}


def _version(_request: HttpRequest, context: str = "") -> str | None:
    return f'"{hashlib.sha256(as_json(context)).hexdigest()[:32]}"' if _is_known(context) else None


def _is_known(context: str) -> bool:
    return not context or context in settings.CONTEXTS


@read_only
@etag(_version)
def openapi(_request: HttpRequest, context: str = "") -> HttpResponse:
    """The document of a context, or of all.

    Raises:
        Http404: The context is not hosted here.
    """
    if not _is_known(context):
        raise Http404
    headers = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    return HttpResponse(as_json(context), content_type="application/json", headers=headers)


@read_only
def docs(request: HttpRequest) -> HttpResponse:
    """The document of all contexts, to be read and tried out: the one page among the API's answers."""
    answer = render(request, "shop/docs.html")
    answer["Content-Security-Policy"] = build_policy({**settings.SECURE_CSP, **OF_THE_PAGE})
    return answer
