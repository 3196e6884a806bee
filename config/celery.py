"""Celery's entry: `celery -A config worker`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from shop.events.broker.app import make_app  # noqa: E402  handlers are known after the set-up

app = make_app()
