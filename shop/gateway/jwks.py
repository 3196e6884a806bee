"""The public keys of access tokens, at `/.well-known/jwks.json`. `config.urls` comes in."""

from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse

from shop.gateway.keys import key_ring
from shop.http.problems import problem

CACHE_SECONDS: Final = 300
METHODS: Final = ("GET", "HEAD")


def jwks(request: HttpRequest) -> HttpResponse:
    """The ring's public half, to be kept no longer than a new key is published before its first use."""
    if request.method not in METHODS:
        detail = f"{request.method} is not possible here"
        allowed = {"Allow": ", ".join(METHODS)}
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, headers=allowed)
    return JsonResponse(key_ring().jwks(), headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"})
