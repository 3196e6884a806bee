"""The shop's settings, with the address that `scripts.benches.shards.urls` adds. Named to the servers of this bench."""

from config.settings import *  # noqa: F403  all of them

ROOT_URLCONF = "scripts.benches.shards.urls"
