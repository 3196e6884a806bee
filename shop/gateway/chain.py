"""Django's middlewares where they are of use: on pages. The API has no sessions, no forms and no frames to guard.

Named in the settings. On the API's way they would cost as much as a cheap request's own work.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

from shop.gateway.headers import FOR_PROGRAMS

if TYPE_CHECKING:
    _Middleware = MiddlewareMixin
else:
    _Middleware = object  # stands before the real one in each class below


class _OnPages(_Middleware):
    """Steps aside for the API."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(FOR_PROGRAMS):
            return self.get_response(request)  # type: ignore[return-value]  # synchronous, as the server is
        return super().__call__(request)  # type: ignore[return-value]  # the same


class Security(_OnPages, SecurityMiddleware):
    """On pages; with https on everything."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Redirect to https and tell browsers to stay there, where that is set."""
        if settings.SECURE_SSL_REDIRECT:
            return SecurityMiddleware.__call__(self, request)  # type: ignore[return-value]  # synchronous
        return super().__call__(request)


class Sessions(_OnPages, SessionMiddleware):
    """On pages."""


class Forms(_OnPages, CsrfViewMiddleware):
    """On pages."""


class SignedIn(_OnPages, AuthenticationMiddleware):
    """On pages."""


class Messages(_OnPages, MessageMiddleware):
    """On pages."""


class Frames(_OnPages, XFrameOptionsMiddleware):
    """On pages."""


class Policy(_OnPages, ContentSecurityPolicyMiddleware):
    """On pages."""
