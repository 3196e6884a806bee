"""Addresses of the admin's pages of events."""

from django.urls import path

from shop.staff.events.pages import act, listing, overview

app_name = "events"
urlpatterns = [
    path("", overview, name="overview"),
    path("list/<slug:name>/", listing, name="list"),
    path("<slug:name>/", act, name="act"),
]
