"""What only a process inside the shop can tell of calls. Prints `Told` as JSON.

``python -m scripts.benches.topology.inside TIMES`` runs as ordering, to which auth lives elsewhere, and catalog here.
It times the same method called plainly and through the pipeline, and a call to auth beside a bare request on a
connection that is kept alive, in turn.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402  Django is set up first

from contexts.auth.contract import AuthService  # noqa: E402  the same
from shop.contract import Service, query  # noqa: E402  the same
from shop.services import acting_as, provide, resolve  # noqa: E402  the same

AT_ONCE: Final = 200


class Kiosk(Service):
    """Says what it is told."""

    context = "catalog"

    @query(callers=("ordering",))
    def same(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        """The same again."""
        raise NotImplementedError


class Window(Kiosk):
    """Says it."""

    def same(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        """The same again."""
        return tuple(ids)


@dataclass(frozen=True, kw_only=True)
class Told:
    """Microseconds of one call, a value for each time it was asked."""

    plain: list[float]
    local: list[float]
    bare: list[float]
    http: list[float]


def main() -> None:
    """Find out, and print it."""
    times = int(sys.argv[1])
    provide(Kiosk, Window())
    window, kiosk, auth = Window(), resolve(Kiosk), resolve(AuthService)
    place = urlsplit(settings.CONTEXT_URLS["auth"])
    connection = HTTPConnection(str(place.hostname), place.port)
    told = Told(plain=[], local=[], bare=[], http=[])

    def bare() -> Any:
        connection.request("GET", "/livez")
        return connection.getresponse().read()

    with acting_as("ordering"):
        for _ in range(times + 1):
            told.plain.append(_each(lambda: window.same(ids=("1",)), AT_ONCE * 10))
            told.local.append(_each(lambda: kiosk.same(ids=("1",)), AT_ONCE * 10))
            told.bare.append(_each(bare, AT_ONCE))
            told.http.append(_each(lambda: auth.profiles(customer_ids=()), AT_ONCE))
    print(json.dumps({name: values[1:] for name, values in asdict(told).items()}))


def _each(work: Callable[[], Any], times: int) -> float:
    """Microseconds of one of them: the median, which a busy machine moves least."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return median(took) * 1e6


if __name__ == "__main__":
    main()
