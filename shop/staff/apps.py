"""Staff as a Django app of its own label."""

from django.apps import AppConfig


class StaffConfig(AppConfig):
    """The kernel's account tables."""

    name = "shop.staff"
    label = "shop_staff"
    verbose_name = "Staff"
