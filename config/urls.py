"""Every address of this process."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from shop.gateway.docs import docs, openapi
from shop.gateway.face import mount_face
from shop.gateway.jwks import jwks
from shop.gateway.metrics import metrics
from shop.gateway.mount import mount
from shop.gateway.pages import landing
from shop.gateway.proxy import mount_proxy
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
    *([path("admin/events/", include("shop.staff.events.urls"))] if settings.CONTEXTS else []),
    *([path("admin/", admin.site.urls)] if settings.CONTEXTS else []),
    path("api/docs", docs),
    path("api/v1/openapi.json", openapi),
    path("api/v1/<context>/openapi.json", openapi),
    *(mount(name) for name in settings.CONTEXTS),
    *(mount_proxy(name) for name in settings.CONTEXT_URLS),
    *(each for name in settings.CONTEXTS if settings.SERVICE_FACE for each in mount_face(name)),
]
