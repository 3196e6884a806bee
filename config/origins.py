"""Who may call from where: the public address of this shop, and origins of others' pages."""

from typing import Final
from urllib.parse import urlsplit

from shop.addresses import http_address
from shop.settings import Env

ANY: Final = "*"
FORM: Final = "an address like https://shop.example, without a path"


def allowed_origins(env: Env) -> tuple[str, ...]:
    """``CORS_ALLOWED_ORIGINS``; ``*`` alone for all, empty for none."""
    given = env.words("CORS_ALLOWED_ORIGINS")
    if given == (ANY,):
        return given
    env.problems += [
        f"CORS_ALLOWED_ORIGINS: must be {FORM}, or * alone, not {origin!r}"
        for origin in given
        if not _is_origin(origin)
    ]
    return given


def public_url(env: Env) -> str:
    """``PUBLIC_URL``, where people and programs find this shop; empty if that is where it listens."""
    url = env.text("PUBLIC_URL").rstrip("/")
    if url and not _is_origin(url):
        env.problems.append(f"PUBLIC_URL: must be {FORM}")
        return ""
    return url


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(http_address(text))
    except ValueError:
        return False
    return text == f"{parts.scheme}://{parts.netloc}"
