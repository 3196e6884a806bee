"""One ninja API per hosted context, an operation per method of its contracts."""

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from pydantic import BaseModel, create_model

from shop.contract import Operation, Service
from shop.events.handlers import handlers_in
from shop.gateway.face.answering import answer, believe, refusal
from shop.gateway.face.taking import take_events
from shop.services.contracts.describing import described
from shop.services.contracts.finding import Contract
from shop.services.keys import key_ring
from shop.services.registry import interfaces_of

PREFIX: Final = "_svc/{context}/v1/"


def mount_face(context: str) -> list[URLResolver | URLPattern]:
    """Its methods, its contract, its public keys, the topics it handles, and where their events are taken."""
    prefix = PREFIX.format(context=context)

    def keys(_request: HttpRequest) -> HttpResponse:
        return JsonResponse(key_ring(context).jwks())

    def contract(_request: HttpRequest) -> HttpResponse:
        return JsonResponse(dict(described(Contract.of(context))))

    def topics(_request: HttpRequest) -> HttpResponse:
        return JsonResponse({"topics": sorted({each.event_type.topic() for each in handlers_in(context)})})

    @csrf_exempt
    @require_POST
    def events(request: HttpRequest) -> HttpResponse:
        return take_events(context, request)

    return [
        path(f"{prefix}jwks", keys),
        path(f"{prefix}contract", contract),
        path(f"{prefix}topics", topics),
        path(f"{prefix}events", events),
        path(prefix, make_face(context, interfaces_of(context)).urls),
    ]


def make_face(context: str, services: Mapping[type[Service], Service]) -> NinjaAPI:
    """The API of a context, of what it provides.

    Raises:
        ValueError: Two of its contracts have a method of one name.
    """
    api = NinjaAPI(title=f"{context}, for other contexts", urls_namespace=f"face-{context}", docs_url=None)
    api.add_exception_handler(Exception, refusal)
    api.add_exception_handler(ValidationError, refusal)
    api.add_exception_handler(HttpError, refusal)
    names = [name for interface in services for name in interface.operations]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{context} has two methods of one name: {', '.join(twice)}")
    for interface, provider in services.items():
        for operation in interface.operations.values():
            _add(api, interface, provider, operation)
    return api


def _add(api: NinjaAPI, interface: type[Service], provider: Service, operation: Operation) -> None:
    arguments = _model(interface, operation)

    def view(request: HttpRequest, arguments: Any) -> HttpResponse:
        return answer(request, interface, provider, operation, dict(arguments))

    view.__annotations__["arguments"] = arguments
    view.__name__ = operation.name
    view.__doc__ = getattr(interface, operation.name).__doc__
    api.post(
        f"/{operation.name}",
        operation_id=f"{interface.context}_{operation.name}",
        response=operation.returns,
        auth=believe(interface.context, operation.name),
    )(view)


def _model(interface: type[Service], operation: Operation) -> type[BaseModel]:
    """Arguments as the body of a request; what is not among them is passed over, an older side does not know it."""
    defaults = getattr(interface, operation.name).__kwdefaults__ or {}
    fields: dict[str, Any] = {name: (hint, defaults.get(name, ...)) for name, hint in operation.parameters.items()}
    return create_model(f"{interface.__name__}_{operation.name}", **fields)
