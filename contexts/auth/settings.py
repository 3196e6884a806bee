"""What auth adds to the settings."""

from shop.settings import Env, Fragment


def fragment(env: Env) -> Fragment:
    """Settings of auth."""
    return Fragment()
