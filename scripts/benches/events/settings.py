"""The shop's settings, with the bench's event and its handler. Named to relay and workers that are measured."""

from config.settings import *  # noqa: F403  all of them
from config.settings import INSTALLED_APPS as SHOPS_APPS

INSTALLED_APPS = [*SHOPS_APPS, "scripts.benches.events"]
