"""What ordering adds to the settings."""

from shop.settings import Env, Fragment


def fragment(env: Env) -> Fragment:
    """Settings of ordering."""
    return Fragment()
