"""Which headers pass the gateway. What belongs to one connection stays there; who somebody is says a token only."""

from collections.abc import Iterable, Mapping
from typing import Final

OF_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
    | {"proxy-authenticate", "proxy-authorization", "http2-settings"}
)
OURS_TO_SAY: Final = frozenset({"host", "content-length", "forwarded", "via", "traceparent", "tracestate", "baggage"})
OURS_BEGIN_WITH: Final = ("x-forwarded-", "x-user-", "x-shop-", "x-real-", "x-deadline-", "x-request-id")
NO_BUSINESS_HERE: Final = frozenset({"cookie"})
OF_THE_SERVER: Final = frozenset({"date", "server"})


def towards_context(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers, what the context gets."""
    dropped = OF_A_CONNECTION | OURS_TO_SAY | NO_BUSINESS_HERE | _listed(headers.get("Connection", ""))
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in dropped and not name.lower().startswith(OURS_BEGIN_WITH)
    }


def towards_client(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of an answer's headers, what the client gets."""
    found = list(headers)
    listed = _listed(",".join(value for name, value in found if name.lower() == "connection"))
    dropped = OF_A_CONNECTION | OF_THE_SERVER | listed
    return {name: value for name, value in found if name.lower() not in dropped}


def _listed(connection: str) -> frozenset[str]:
    return frozenset(word.strip().lower() for word in connection.split(","))
