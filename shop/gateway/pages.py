"""The page at `/`: what runs here, for people."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from shop.sharding import ShardMapMissing, aliases_of, hosted_contexts, shard_map


def landing(request: HttpRequest) -> HttpResponse:
    """Contexts, their shards with the buckets they own, and where to go from here."""
    contexts = [{"name": name, "shards": _shards(name)} for name in hosted_contexts()]
    return render(request, "shop/landing.html", {"contexts": contexts, "engine": settings.SHOP_ENGINES})


def _shards(context: str) -> list[dict[str, Any]]:
    try:
        owners = shard_map(context)
    except (ShardMapMissing, DatabaseError):
        return [{"alias": alias, "slices": []} for alias in aliases_of(context)]
    return [
        {"alias": alias, "slices": [{"lo": lo, "width": hi - lo + 1} for lo, hi in owners.slices_of(alias)]}
        for alias in aliases_of(context)
    ]
