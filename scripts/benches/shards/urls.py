"""The shop's addresses, and one by which the guard is taken off and put on again."""

from typing import Any, Final

from django.http import HttpRequest
from django.urls import path
from ninja import NinjaAPI

from config import urls as of_shop
from shop.sharding.postgresql.base import DatabaseWrapper

handler400, handler403 = of_shop.handler400, of_shop.handler403
handler404, handler500 = of_shop.handler404, of_shop.handler500

api = NinjaAPI(urls_namespace="bench", docs_url=None, openapi_url=None)
GUARDED: Final = DatabaseWrapper.begin_guarded


def begin(connection: DatabaseWrapper, buckets: Any) -> None:
    """Ask nothing: the transaction begins with its first statement."""


@api.put("guard/{state}")
def switch(request: HttpRequest, state: str) -> dict[str, str]:  # noqa: ARG001  every view is given one
    """Have transactions of this process begin with the guard's question (``on``), or without (``off``)."""
    DatabaseWrapper.begin_guarded = GUARDED if state == "on" else begin  # type: ignore[assignment,method-assign]  # so
    return {"guard": state}


urlpatterns = [*of_shop.urlpatterns, path("api/v1/bench/", api.urls)]
