"""Every address of this process."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from shop.gateway.docs import docs, openapi
from shop.gateway.jwks import jwks
from shop.gateway.metrics import metrics
from shop.gateway.mount import mount
from shop.gateway.pages import landing
from shop.observability.health import livez, readyz

handler400 = "shop.http.problems.bad_request"
handler403 = "shop.http.problems.forbidden"
handler404 = "shop.http.problems.not_found"
handler500 = "shop.http.problems.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", landing),
    path("livez", livez),
    path("readyz", readyz),
    path("metrics", metrics),
    path(".well-known/jwks.json", jwks),
    path("admin/events/", include("shop.staff.events.urls")),
    path("admin/", admin.site.urls),
    path("api/docs", docs),
    path("api/v1/openapi.json", openapi),
    path("api/v1/<context>/openapi.json", openapi),
    *(mount(name) for name in settings.CONTEXTS),
]
