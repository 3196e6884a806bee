"""Addresses of ordering, under `/api/v1/ordering/`."""

from django.urls import URLPattern

from shop.gateway.routes import Route

ROUTES: tuple[Route, ...] = ()
urlpatterns: list[URLPattern] = []
