"""Rate limits from the environment."""

from typing import Final

from shop.settings import Env

DEFAULTS: Final[dict[str, tuple[int, int] | None]] = {
    "login": (10, 300),
    "auth": (600, 60),
    "reset": (5, 3600),
    "read": None,
    "write": None,
}
"""Failed sign-ins per account; what auth lets anybody do, per address; mails for a new password per account; everything
else per caller. None: off."""
MOST: Final = 1_000_000
OFF: Final = "off"
FORM: Final = "must be like login=10/300,auth=600/60: a policy, a quota, seconds; or policy=off"
REDIS_FORMS: Final = ("redis://", "rediss://", "unix://")


def rate_limits(env: Env) -> dict[str, tuple[int, int]]:
    """``RATE_LIMITS`` over the defaults: quota and seconds by policy, without those that are off."""
    found = dict(DEFAULTS)
    for word in env.words("RATE_LIMITS"):
        policy, separator, given = (part.strip() for part in word.partition("="))
        if policy not in DEFAULTS or not separator:
            env.problems.append(f"RATE_LIMITS: {FORM}; the policies are {', '.join(DEFAULTS)}")
            continue
        try:
            found[policy] = None if given == OFF else _quota(given)
        except ValueError:
            env.problems.append(f"RATE_LIMITS: {FORM}, not {word!r}")
    return {policy: quota for policy, quota in found.items() if quota is not None}


def _quota(text: str) -> tuple[int, int]:
    quota, _, seconds = text.partition("/")
    return _number(quota), _number(seconds)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 1 <= int(text) <= MOST):
        raise ValueError
    return int(text)


def redis_url(env: Env) -> str:
    """``REDIS_URL``; its password is not repeated."""
    url = env.text("REDIS_URL")
    if url and not url.startswith(REDIS_FORMS):
        env.problems.append("REDIS_URL: must be redis://:password@host:port/number, rediss://… or unix://…")
    return url
