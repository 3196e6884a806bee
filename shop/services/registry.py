"""Interface in, provider out. Which provider answers is decided per call."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings

from shop.contract import Operation, Service, ServiceUnavailable
from shop.contract.service import signature_types
from shop.services.pipeline import call
from shop.services.transport import Transport
from shop.services.transport.http import Http
from shop.services.transport.http.targets import target_of
from shop.services.transport.local import Local
from shop.services.transport.loopback import Loopback
from shop.sharding.binding import bound_url

_providers: dict[type[Service], Service] = {}
_proxies: dict[type[Service], Service] = {}
_transports: dict[str, Callable[[Service], Transport]] = {"local": Local, "loopback": Loopback}


def provide[S: Service](interface: type[S], provider: S) -> None:
    """Bind ``interface`` to its implementation in this process.

    Raises:
        TypeError: Methods, parameters or types of ``provider`` differ from the contract.
        RuntimeError: There is a provider already.
    """
    if interface in _providers:
        raise RuntimeError(f"{interface.__qualname__} has a provider already")
    refuse_drift(interface, provider)
    _providers[interface] = provider


def resolve[S: Service](interface: type[S]) -> S:
    """A typed stand-in for ``interface``; every call on it runs the whole pipeline."""
    proxy = _proxies.get(interface)
    if proxy is None:
        proxy = _proxies.setdefault(interface, _make_proxy(interface))
    return cast(S, proxy)


def each[S: Service](interface: type[S]) -> dict[str, S]:
    """Stand-ins for what every context of the shop provides of ``interface``, by context, wherever it lives.

    Raises:
        ServiceUnavailable: Of one nobody knows where it is, and its part would be missing.
    """
    found = {own.context: own for own in _contracts(interface)}
    for context in settings.KNOWN_CONTEXTS:
        if found.get(context) not in _providers and not (context in found and context in settings.CONTEXT_URLS):
            raise ServiceUnavailable(detail=f"{context} is not hosted by this process, and has no URL")
    return {context: resolve(found[context]) for context in settings.KNOWN_CONTEXTS}


def interfaces_of(context: str) -> dict[type[Service], Service]:
    """What ``context`` provides in this process, with its providers."""
    return {interface: provider for interface, provider in _providers.items() if interface.context == context}


def _contracts[S: Service](interface: type[S]) -> list[type[S]]:
    """Contracts that are an ``interface``: those that are provided here, before others of the same context."""
    declared = [own for own in interface.__subclasses__() if "context" in vars(own)]
    return sorted(declared, key=lambda own: own in _providers)


def provider_in[S: Service](context: str, interface: type[S]) -> S:
    """What ``context`` itself provides of ``interface``: for the kernel, when it works in the context's name.

    Raises:
        LookupError: It provides none.
    """
    for own, provider in _providers.items():
        if own.context == context and issubclass(own, interface) and isinstance(provider, interface):
            return provider
    raise LookupError(f"{context} provides no {interface.__name__}")


@contextmanager
def substitute[S: Service](interface: type[S], provider: S) -> Iterator[S]:
    """Let ``provider`` answer for ``interface`` inside the block: fakes in tests.

    Raises:
        TypeError: It differs from the contract.
    """
    refuse_drift(interface, provider)
    before = _providers.get(interface)
    _providers[interface] = provider
    try:
        yield provider
    finally:
        if before is None:
            del _providers[interface]
        else:
            _providers[interface] = before


@contextmanager
def transport(kind: str, make: Callable[[Service], Transport]) -> Iterator[None]:
    """Replace the transport that the settings name ``kind`` inside the block: tests that send twice, or fail."""
    before = _transports[kind]
    _transports[kind] = make
    try:
        yield
    finally:
        _transports[kind] = before


def _transport_of(interface: type[Service]) -> Transport:
    """Where the provider of ``interface`` is, now."""
    provider, elsewhere = _providers.get(interface), bound_url(interface.context)
    if provider is not None and not elsewhere:
        return _transports[settings.SERVICE_TRANSPORT](provider)
    url = elsewhere or settings.CONTEXT_URLS.get(interface.context, "")
    if not url:
        raise ServiceUnavailable(detail=f"{interface.context} is not hosted by this process, and has no URL")
    return Http(target_of(interface.context, url))


def _make_proxy(interface: type[Service]) -> Service:
    methods = {name: _method(interface, operation) for name, operation in interface.operations.items()}
    return cast(Service, type(f"{interface.__name__}Proxy", (interface,), methods)())


def _method(interface: type[Service], operation: Operation) -> Callable[..., Any]:
    name = f"{interface.context}.{operation.name}"

    def method(self: Service, **arguments: Any) -> Any:
        return call(name, interface, operation, arguments, _transport_of)

    method.__name__ = operation.name
    method.__doc__ = inspect.getdoc(getattr(interface, operation.name))
    return method


def refuse_drift(interface: type[Service], provider: Service) -> None:
    """Compare an implementation with its contract.

    Raises:
        TypeError: It lacks a method, or a parameter, a type or a default differs.
    """
    for name, operation in interface.operations.items():
        method = getattr(type(provider), name, None)
        if method is None or getattr(method, "__isabstractmethod__", False):
            raise TypeError(f"{type(provider).__qualname__} lacks {interface.__qualname__}.{name}")
        wanted = {**operation.parameters, "return": operation.returns}
        given = signature_types(method)
        if given != wanted:
            odd = sorted(key for key in wanted.keys() | given.keys() if wanted.get(key) != given.get(key))
            raise TypeError(f"{type(provider).__qualname__}.{name} differs from its contract in: {', '.join(odd)}")
        if _defaults(method) != _defaults(getattr(interface, name)):
            raise TypeError(f"{type(provider).__qualname__}.{name} differs from its contract in a default")


def _defaults(method: Callable[..., object]) -> dict[str, object]:
    return {name: parameter.default for name, parameter in inspect.signature(method).parameters.items()}
