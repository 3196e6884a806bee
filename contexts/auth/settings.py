"""What auth adds to the settings."""

from typing import Final
from urllib.parse import urlsplit

from shop.settings import Env, Fragment

TOKEN: Final = "{token}"  # noqa: S105  where one stands


def fragment(env: Env) -> Fragment:
    """The page of a storefront on which a forgotten password is replaced."""
    return Fragment(values={"PASSWORD_RESET_URL": env.checked("PASSWORD_RESET_URL", _page, "")})


def _page(url: str) -> str:
    if not _is_page(url):
        raise ValueError(f"must be like https://shop.example/new-password#{TOKEN}, with {TOKEN} in it once")
    return url


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return known and url.count(TOKEN) == 1 and TOKEN not in parts.netloc and not set(url) & set(' <>"')
