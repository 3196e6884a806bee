"""Which tables tell events, counted by their rows' ``event_seq``: read off the models' ``tells``."""

from functools import cache

from django.apps import apps
from django.db.models import Model

from shop.sharding.databases import owner_of


def aggregates() -> list[type[Model]]:
    """Tables of the contexts hosted here whose rows tell events, each counted by its ``event_seq``."""
    return [m for m in apps.get_models() if getattr(m, "tells", ()) and owner_of(m._meta.app_label)]


def topics_told(model: type[Model]) -> list[str]:
    """What a row of ``model`` may tell."""
    return [event.topic() for event in getattr(model, "tells", ())]


def aggregate_name(model: type[Model]) -> str:
    """How rows of ``model`` are told from others with the same ID, for ever."""
    return model._meta.label_lower


@cache
def teller_of(topic: str) -> str | None:
    """Name of the aggregates that tell ``topic``; None: nobody counts these."""
    return next((aggregate_name(model) for model in aggregates() if topic in topics_told(model)), None)
