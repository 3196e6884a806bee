"""What ordering adds to the settings."""

from pathlib import Path
from typing import Final

from shop.addresses import parse_database_url
from shop.settings import Env, Fragment

FAKE_PROVIDER_FILE: Final = "sqlite:///fake_provider.sqlite3"


def fragment(env: Env) -> Fragment:
    """How long an order waits for its payment and for coming back, and where the fake provider keeps its books."""
    return Fragment(
        values={
            "PAYMENT_WINDOW_SECONDS": env.integer("PAYMENT_WINDOW_SECONDS", 1_800, low=1, high=7 * 86_400),
            "RETURN_WINDOW_SECONDS": env.integer("RETURN_WINDOW_SECONDS", 14 * 86_400, low=0, high=366 * 86_400),
            "FAKE_PROVIDER_DATABASE": env.checked("FAKE_PROVIDER_DATABASE", _database_url, FAKE_PROVIDER_FILE),
        },
    )


def _database_url(text: str) -> str:
    parse_database_url(text, Path())  # a bad one is told at the start, not by the first payment
    return text
