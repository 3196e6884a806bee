"""What ordering adds to the settings."""

from shop.settings import Env, Fragment


def fragment(env: Env) -> Fragment:
    """How long an order waits for its payment, and where the fake provider keeps its books."""
    return Fragment(
        values={
            "PAYMENT_WINDOW_SECONDS": env.integer("PAYMENT_WINDOW_SECONDS", 1_800, low=1, high=7 * 86_400),
            "FAKE_PROVIDER_DATABASE": env.text("FAKE_PROVIDER_DATABASE", "sqlite:///fake_provider.sqlite3"),
        },
    )
