"""Figures about this process, for Prometheus. Any room may count here."""

from prometheus_client import Histogram

SERVICE_CALLS = Histogram(
    "shop_service_call_seconds",
    "Calls between contexts by method and outcome.",
    ("operation", "outcome"),
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0),
)
