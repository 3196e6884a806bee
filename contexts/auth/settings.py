"""What auth adds to the settings."""

from typing import Final
from urllib.parse import urlsplit

from shop.settings import Env, Fragment

TOKEN: Final = "{token}"  # noqa: S105  where one stands


def fragment(env: Env) -> Fragment:
    """The page of a storefront on which a forgotten password is replaced."""
    return Fragment(values={"PASSWORD_RESET_URL": env.checked("PASSWORD_RESET_URL", _page, "")})


def _page(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or url.count(TOKEN) != 1 or TOKEN in parts.netloc:
        raise ValueError(f"must be like https://shop.example/new-password#{TOKEN}, with {TOKEN} in it once")
    return url
