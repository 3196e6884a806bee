"""Addresses of auth, under `/api/v1/auth/`."""

from django.urls import URLPattern

from shop.gateway.routes import Route

ROUTES: tuple[Route, ...] = ()
urlpatterns: list[URLPattern] = []
