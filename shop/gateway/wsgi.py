"""The WSGI application: Django's, with requests that it can read to the end. `config.wsgi` comes in."""

from io import BytesIO
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.utils.http import parse_header_parameters

from shop.gateway.body import told_length
from shop.gateway.routes import BODY_LIMIT
from shop.gateway.slow_senders import SlowSenders


class Utf8Request(WSGIRequest):
    """A request whose Content-Type decodes nothing.

    Django reads the query by the `charset` named there while it makes the request, outside of every error handler:
    a name like `rot13` would end as a bare 500, without a problem, a trace or a line in the log.
    """

    def _set_content_type_params(self, meta: dict[str, str]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):  # a parameter in a codec that is none, or a header of many kilobytes
            self.content_type, self.content_params = "", {}


class _BrokenOff:
    """A body of which less came than was told."""

    def read(self, *_: int) -> bytes:
        raise OSError("the body broke off")

    readline = read


class Application(WSGIHandler):
    """Django's handler, for such requests, with bodies that are here whole before any work begins."""

    request_class = Utf8Request

    def __init__(self) -> None:
        super().__init__()
        self.senders = SlowSenders(port=settings.PORT, threads=settings.SERVER_THREADS)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer."""
        header = environ.get("CONTENT_LENGTH", "")
        length = told_length(header)
        if 0 < length <= BODY_LIMIT:
            body = self.senders.read(environ["wsgi.input"], length)
            environ["wsgi.input"] = BytesIO(body) if len(body) == length else _BrokenOff()
        elif not header and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            # To Django it would be empty, which reads as much as Content-Length says.
            body = self.senders.read(environ["wsgi.input"], BODY_LIMIT + 1)
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return super().__call__(environ, start_response)


def make_application() -> Application:
    """Set Django up and give its application."""
    django.setup(set_prefix=False)
    from shop.sharding.databases import leave_databases  # noqa: PLC0415  models load after that

    # What the end of each request does, its beginning need not do again; and nobody notes queries without DEBUG.
    request_started.disconnect(close_old_connections)
    request_started.disconnect(reset_queries)
    request_finished.disconnect(close_old_connections)
    request_finished.connect(leave_databases)
    return Application()
