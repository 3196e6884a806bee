"""HTTP of ordering, on django-ninja: schemas in and out, use cases between. `urls` comes in here."""

from contexts.ordering.api.operations import router

__all__ = ["router"]
