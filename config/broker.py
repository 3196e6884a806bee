"""The broker from the environment."""

import re
from typing import Final
from urllib.parse import urlsplit

from shop.settings import Env

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
SCHEMES: Final = ("amqp", "amqps", "redis", "rediss")
EXAMPLES: Final = ("amqp://user:password@host:port/vhost", "redis://user:password@host:port/0")


def broker_namespace(env: Env) -> str:
    """``BROKER_NAMESPACE``: what exchange, queues and keys begin with, so that shops can share a broker."""
    name = env.text("BROKER_NAMESPACE", "shop")
    if not NAME.fullmatch(name):
        env.problems.append("BROKER_NAMESPACE: must be letters, digits, - and _, at most 40")
    return name


def broker_url(env: Env) -> str:
    """``BROKER_URL``, empty without one; its password is not repeated."""
    url = env.text("BROKER_URL")
    try:
        parts = urlsplit(url)
        wrong = bool(url) and (parts.scheme not in SCHEMES or not parts.hostname or (parts.port or 1) < 1)
    except ValueError:
        wrong = True
    if wrong:
        env.problems.append(f"BROKER_URL: must be like {' or '.join(EXAMPLES)}, or amqps and rediss with TLS")
        return ""
    return url
