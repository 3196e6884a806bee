"""The shop's addresses and the empty view's, which lies where the API does: on the same way through the middlewares."""

from django.http import HttpRequest
from django.urls import path
from ninja import NinjaAPI

from config import urls as of_shop

handler400, handler403 = of_shop.handler400, of_shop.handler403
handler404, handler500 = of_shop.handler404, of_shop.handler500

api = NinjaAPI(urls_namespace="bench", docs_url=None, openapi_url=None)


@api.get("empty")
def empty(request: HttpRequest) -> dict[str, str]:
    """Nothing."""
    return {}


urlpatterns = [*of_shop.urlpatterns, path("api/v1/bench/", api.urls)]
