"""The way mails leave this process, from the environment."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from shop.addresses import mail_address
from shop.settings import Env

CONSOLE: Final = {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
SMTP: Final = "django.core.mail.backends.smtp.EmailBackend"
FORMS: Final = "must be smtp://user:password@host:587?tls=true, or smtps://user:password@host:465"
TLS: Final[Mapping[str, bool]] = {"true": True, "false": False}
TIMEOUT_SECONDS: Final = 10
FROM: Final = "Shop <shop@localhost>"


def mailers(env: Env) -> dict[str, dict[str, Any]]:
    """``MAILERS`` by ``EMAIL_URL``; unset, mails are shown on the console."""
    return {"default": env.checked("EMAIL_URL", _smtp, CONSOLE)}


def mails_from(env: Env) -> str:
    """``EMAIL_FROM``, which whoever sends has to say: others answer there, and mail systems look whether it is ours."""
    if env.text("EMAIL_URL") and not env.text("EMAIL_FROM"):
        env.problems.append("EMAIL_FROM: must be set where EMAIL_URL is")
    return env.checked("EMAIL_FROM", mail_address, FROM)


def _smtp(url: str) -> dict[str, Any]:
    """The mailer.

    Raises:
        ValueError: Not such a URL. The message never repeats the password.
    """
    try:
        parts = urlsplit(url)
        host, port, query = parts.hostname, parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:  # its message may repeat the password
        raise ValueError(FORMS) from None
    if not _is_form(parts, query):
        raise ValueError(FORMS)
    ssl, tls = parts.scheme == "smtps", TLS[query.get("tls", "false")]
    if parts.password and not (ssl or tls):
        raise ValueError("a password is sent over TLS only: add ?tls=true, or say smtps://")
    options = {
        "host": host,
        "port": port or (465 if ssl else 587 if tls else 25),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": tls,
        "use_ssl": ssl,
        "timeout": TIMEOUT_SECONDS,
    }
    return {"BACKEND": SMTP, "OPTIONS": options}


def _is_form(parts: SplitResult, query: Mapping[str, str]) -> bool:
    known = parts.scheme == "smtps" and not query
    known = known or (parts.scheme == "smtp" and set(query) <= {"tls"} and query.get("tls", "false") in TLS)
    whole = bool(parts.hostname) and parts.path in ("", "/") and not parts.fragment
    return known and whole and bool(parts.username) == bool(parts.password) and parts.port != 0
