"""Where a context that is hosted here is answered: here, or at a URL that its home names. The map's watch reads it.

The environment says where contexts live when a process starts. The row wins over it, and every process that hosts the
context follows a change within a second, in calls of other contexts and in what clients ask.
"""

import socket
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models

from shop.sharding.databases import home_of
from shop.sharding.models import ShardEpoch

_bound: Final[dict[str, str]] = {}
_written: Final[dict[str, str]] = {}


def bound_url(context: str) -> str:
    """Where the context is answered instead of here; empty: here. As this process knows it."""
    return _bound.get(context, "")


def note_binding(context: str, url: str) -> bool:
    """Know it from now on; whether that is news."""
    if _written.get(context, "") == url:
        return False
    _written[context] = url
    _bound[context] = "" if _is_here(url) else url
    return True


def _is_here(url: str) -> bool:
    """Whether an address is this server's own: its port, on this machine."""
    place = urlsplit(url)
    if place.port != settings.PORT:
        return False
    with suppress(OSError):
        for family, kind, protocol, _, address in socket.getaddrinfo(place.hostname, None, type=socket.SOCK_DGRAM):
            with suppress(OSError), socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
    return False


def bind(context: str, url: str) -> None:
    """Write where the context is answered from now on. Safe to repeat. Database: its home, one statement."""
    changed = {"url": url, "bound": models.F("bound") + 1}
    ShardEpoch.objects.using(home_of(context)).exclude(url=url).update(**changed)


def binding_of(context: str) -> tuple[str, int]:
    """What is written there: the URL, and how often it was changed. Database: its home, one read."""
    row = ShardEpoch.objects.using(home_of(context)).values_list("url", "bound").first()
    return row or ("", 0)
