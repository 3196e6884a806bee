"""Hanging a context's routes into the URL configuration; `config.urls` calls it."""

from django.urls import URLPattern, URLResolver, include, path
from django.utils.module_loading import import_string

from shop.gateway.routes import register


def mount(context: str) -> URLResolver | URLPattern:
    """The context's ``urlpatterns`` under ``/api/v1/<context>/``, and its ``ROUTES`` in the route table."""
    prefix, urls = f"api/v1/{context}/", f"contexts.{context}.urls"
    register(context, prefix, import_string(f"{urls}.ROUTES"), import_string(f"{urls}.IDS"))
    return path(prefix, include(urls))
