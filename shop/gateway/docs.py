"""The API's document over HTTP: as JSON for programs, as a page for people. `config.urls` comes in."""

import hashlib
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.csp import CSP, build_policy
from django.views.decorators.http import etag

from shop.contract import ServiceUnavailable
from shop.gateway.openapi import whole_document
from shop.gateway.reading import read_only
from shop.http.problems import problem_of

CACHE_SECONDS: Final = 300
OF_THE_PAGE: Final[dict[str, list[str]]] = {
    "style-src": [CSP.SELF],  # nothing is inline that a nonce would be for
    "img-src": [CSP.SELF, "data:"],  # Swagger UI's stylesheet holds its icons
}


def _version(_request: HttpRequest, context: str = "") -> str | None:
    if not _is_known(context):
        return None
    try:
        return f'"{hashlib.sha256(whole_document(context)).hexdigest()[:32]}"'
    except ServiceUnavailable:
        return None


def _is_known(context: str) -> bool:
    return not context or context in settings.CONTEXTS or context in settings.CONTEXT_URLS


@read_only
@etag(_version)
def openapi(_request: HttpRequest, context: str = "") -> HttpResponse:
    """The document of a context, or of all.

    Raises:
        Http404: There is no such context.
    """
    if not _is_known(context):
        raise Http404
    headers = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
    try:
        found = whole_document(context)
    except ServiceUnavailable as error:
        return problem_of(error)
    return HttpResponse(found, content_type="application/json", headers=headers)


@read_only
def docs(request: HttpRequest) -> HttpResponse:
    """The document of all contexts, to be read and tried out: the one page among the API's answers."""
    answer = render(request, "shop/docs.html")
    answer["Content-Security-Policy"] = build_policy({**settings.SECURE_CSP, **OF_THE_PAGE})
    return answer
