"""The HTTP transport without a network: requests go to the face's own views in this thread, and answers come back."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.test import RequestFactory
from django.urls import path
from django.urls.resolvers import RegexPattern, URLResolver

from shop.contract import Service
from shop.gateway.face.mounting import PREFIX, make_face
from shop.services.calling import is_first_hop
from shop.services.transport import Call
from shop.services.transport.http import Http
from shop.services.transport.http.connections import Answer
from shop.services.transport.http.targets import Target

NOWHERE = "http://127.0.0.1:9"


class Here:
    """Stands for the connections of a target: the request is answered by the face of ``provider``."""

    def __init__(self, interface: type[Service], provider: Service) -> None:
        prefix = PREFIX.format(context=interface.context)
        urls = [path(prefix, make_face(interface.context, {interface: provider}).urls)]
        self._resolver = URLResolver(RegexPattern("^/"), urls)

    def send(self, method: str, address: str, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Answer:
        request = RequestFactory().generic(
            method, address, body, content_type=headers["Content-Type"], headers={k: v for k, v in headers.items() if v}
        )
        match = self._resolver.resolve(address)
        answer = match.func(request, *match.args, **match.kwargs)
        return Answer(status=answer.status_code, body=answer.content)


@cache
def _here(interface: type[Service], provider: Service) -> Here:
    return Here(interface, provider)


class OverHttp:
    """Carries each call once, as HTTP does, but for the wire."""

    def __init__(self, provider: Service) -> None:
        self._provider = provider

    def send(self, call: Call) -> Any:
        """Carry ``call``."""
        target = Target(call.interface.context, NOWHERE)
        target.connections = _here(call.interface, self._provider)  # type: ignore[assignment]  # it has the same method
        once = is_first_hop.set(False)
        try:
            return Http(target).send(call)
        finally:
            is_first_hop.reset(once)
