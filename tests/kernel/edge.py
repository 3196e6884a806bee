"""A small API for the tests of the edge: the URL configuration, its route table, and views that do what a test says."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from shop.gateway.routes import Key, Route, Who
from shop.http.drf import Body, MoneyBody, PublicIdField, read

PREFIX = "edge/"
ROUTES = (
    Route(method="POST", path="orders", who=Who.CUSTOMER, key=Key.REQUIRED, has_body=True),
    Route(method="GET", path="orders", who=Who.READER),
    Route(method="POST", path="notes", who=Who.CUSTOMER_OR_STAFF, key=Key.ACCEPTED, has_body=True),
    Route(method="POST", path="stock", who=Who.STAFF, role="catalog_editor", has_body=True),
    Route(method="GET", path="stock", who=Who.STAFF),
    Route(method="GET", path="public/<name>", who=Who.ANYONE),
    Route(method="POST", path="shaped", who=Who.ANYONE, has_body=True),
)


class Shape(Body):
    """A body with nested parts."""

    name = serializers.CharField(max_length=5)
    count = serializers.IntegerField(min_value=1, required=False)
    price = MoneyBody(required=False)
    parcel = PublicIdField("prd", required=False)
    lines = serializers.ListField(child=MoneyBody(), required=False)
    anything = serializers.JSONField(required=False)


class Act:
    """What the views do now; a test sets it."""

    now: Callable[[HttpRequest], HttpResponse]
    calls: int = 0


def plain(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"n": Act.calls})


@csrf_exempt
def view(request: HttpRequest, **parts: str) -> HttpResponse:
    Act.calls += 1
    return Act.now(request)


@api_view(["POST"])
def shaped(request: Request) -> Response:
    values: dict[str, Any] = read(request, Shape)
    return Response({"fields": sorted(values)})


handler400 = "shop.http.problems.bad_request"
handler403 = "shop.http.problems.forbidden"
handler404 = "shop.http.problems.not_found"
handler500 = "shop.http.problems.server_error"

urlpatterns = [
    path("edge/orders", view),
    path("edge/notes", view),
    path("edge/stock", view),
    path("edge/public/<name>", view),
    path("edge/shaped", shaped),
    path("outside", view),
]
