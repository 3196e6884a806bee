"""What this process counts, for Prometheus. Any room may count here.

Labels come from the code (a route template, an operation, a policy), never from a request: their number is bounded.
"""

from typing import Final

from prometheus_client import Counter, Histogram

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN: Final = "unknown"

REQUESTS = Histogram(
    "shop_request_seconds",
    "Requests by context, route template, method and class of status; addresses that do not exist are one route.",
    ("context", "route", "method", "status"),
    buckets=(0.005, 0.02, 0.1, 0.5, 2.0, 10.0),
)
SERVICE_CALLS = Histogram(
    "shop_service_call_seconds",
    "Calls between contexts by method and outcome; catalog.reserve tells how reservations of stock end.",
    ("operation", "outcome"),
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0),
)
LIMITS_REFUSED = Counter(
    "shop_limits_refused_total",
    "Requests refused by a rate limit, by policy.",
    ("policy",),
)

_of_route: dict[tuple[str, str, str, int], Histogram] = {}


def count_request(*, context: str, route: str, method: str, status: int, seconds: float) -> None:
    """Enter one answered request; ``route`` is its template, empty where there is nothing."""
    key = context, route, method if method in METHODS else UNKNOWN, status // 100
    known = _of_route.get(key)
    if known is None:
        known = REQUESTS.labels(context, route or UNKNOWN, key[2], f"{key[3]}xx")
        _of_route[key] = known
    known.observe(seconds)
