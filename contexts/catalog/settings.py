"""What catalog adds to the settings."""

from shop.settings import Env, Fragment


def fragment(env: Env) -> Fragment:
    """Settings of catalog."""
    return Fragment()
