"""The shop's settings, with one more address: a view that does nothing. Named to the servers that are measured."""

from config.settings import *  # noqa: F403  all of them

ROOT_URLCONF = "scripts.benches.urls"
