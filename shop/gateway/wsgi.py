"""The WSGI application: Django's, whose requests are UTF-8 whatever they claim to be. `config.wsgi` comes in."""

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


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


class Application(WSGIHandler):
    """Django's handler, for such requests."""

    request_class = Utf8Request


def make_application() -> Application:
    """Set Django up and give its application."""
    django.setup(set_prefix=False)
    return Application()
