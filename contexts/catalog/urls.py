"""Addresses of catalog, under `/api/v1/catalog/`."""

from django.urls import URLPattern

from shop.gateway.routes import Route

ROUTES: tuple[Route, ...] = ()
urlpatterns: list[URLPattern] = []
