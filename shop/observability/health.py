"""Liveness and readiness. Rooms register what they know with `readiness`; `/readyz` names each."""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, JsonResponse

type Check = Callable[[], dict[str, str]]

OK: Final = "ok"
_checks: dict[str, Check] = {}


def readiness(name: str, check: Check) -> None:
    """Register a check: it returns a verdict by part, `OK` or what is wrong, and never raises."""
    _checks[name] = check


def livez(request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": OK})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part is fit for traffic, else 503; the body names each part."""
    verdicts = {name: check() for name, check in _checks.items()}
    fit = all(verdict == OK for parts in verdicts.values() for verdict in parts.values())
    return JsonResponse({"status": OK if fit else "not ready", **verdicts}, status=200 if fit else 503)
