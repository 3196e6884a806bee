"""`/metrics`: what is counted and what is read, in Prometheus's words. `config.urls` comes in."""

import platform
import tomllib
from collections.abc import Iterator
from functools import cache
from hmac import compare_digest
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_prometheus.exports import ExportToDjangoView
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shop.gateway.reading import read_only
from shop.http.problems import problem
from shop.observability.figures import board

SCHEME: Final = "bearer "
FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


@read_only
def metrics(request: HttpRequest) -> HttpResponse:
    """The page, for callers on this machine and for those who know ``METRICS_TOKEN``."""
    if refused := _refusal(request):
        return refused
    board.renew()
    page: HttpResponse = ExportToDjangoView(request)
    page.content = page.content + generate_latest(_read_here)
    page["Cache-Control"] = "no-store"
    return page


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """None where the caller may see the page."""
    given = request.headers.get("Authorization", "")
    if not given and _is_from_this_machine(request):
        return None
    if not settings.METRICS_TOKEN:
        return problem(403, "forbidden", "open to this machine only, unless METRICS_TOKEN is set")
    if not given:
        return problem(401, "not_authenticated", "this needs `Authorization: Bearer <METRICS_TOKEN>`")
    token = given[len(SCHEME) :].strip() if given.lower().startswith(SCHEME) else ""
    if not compare_digest(token.encode("utf-8", "replace"), settings.METRICS_TOKEN.encode()):
        return problem(401, "token_invalid", "not METRICS_TOKEN")
    return None


def _is_from_this_machine(request: HttpRequest) -> bool:
    """Whether the peer is local and speaks for itself: a proxy on this machine hands on others' requests."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class _Build(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        about = GaugeMetricFamily("shop_build_info", "What runs here.", labels=("version", "python", "django"))
        about.add_metric((_version(), platform.python_version(), django.get_version()), 1.0)
        yield about


@cache
def _version() -> str:
    return str(tomllib.loads((Path(settings.BASE_DIR) / "pyproject.toml").read_text())["project"]["version"])


_read_here: Final = CollectorRegistry()
_read_here.register(_Build())
_read_here.register(board)
