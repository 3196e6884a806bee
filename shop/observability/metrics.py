"""What this process counts, for Prometheus. Any room may count here.

Labels come from the code (a route template, an operation, a policy), never from a request: their number is bounded.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

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
CONTEXT_RESTING = Gauge(
    "shop_context_resting",
    "Processes of this server that do not call a context that lives elsewhere, as it failed too often just now.",
    ("context",),
    multiprocess_mode="sum",
)
LIMITS_REFUSED = Counter(
    "shop_limits_refused_total",
    "Requests refused by a rate limit, by policy.",
    ("policy",),
)
DATABASE_DOWN = Gauge(
    "shop_database_down",
    "Processes of this server to which a database does not answer.",
    ("database",),
    multiprocess_mode="sum",
)
DATABASE_REFUSED = Counter(
    "shop_database_refused_total",
    "Waits for a database that were ended or not begun: it is down, enough threads wait, or no connection is free.",
    ("database", "reason"),
)

DATABASE_CONNECTIONS = Gauge(
    "shop_database_connections",
    "Connections of this server to a database, in use or idle; looked at each second.",
    ("database", "state"),
    multiprocess_mode="sum",
)
DATABASE_WAITING = Gauge(
    "shop_database_waiting",
    "Threads that wait for a connection to a database; looked at each second.",
    ("database",),
    multiprocess_mode="sum",
)
DATABASE_WAITED = Histogram(
    "shop_database_wait_seconds",
    "Waits for a connection, of those that found none idle and no place for a new one.",
    ("database",),
    buckets=(0.005, 0.02, 0.1, 0.3, 0.8),
)
DATABASE_OPENED = Counter(
    "shop_database_opened_total",
    "Connections opened to a database.",
    ("database",),
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
