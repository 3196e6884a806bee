"""Which contexts this process hosts, and where the others live. The one place that knows them all by name."""

from typing import Final

from shop.settings import Env

KNOWN_CONTEXTS: Final = ("auth", "catalog", "ordering")


def hosted_contexts(env: Env) -> tuple[str, ...]:
    """``CONTEXTS`` in the order of their stream; unset: all."""
    given = env.words("CONTEXTS", KNOWN_CONTEXTS)
    for name in given:
        if name not in KNOWN_CONTEXTS:
            env.problems.append(f"CONTEXTS: {name!r} is no context; there are {', '.join(KNOWN_CONTEXTS)}")
    if not given:
        env.problems.append("CONTEXTS: names no context")
    if len(set(given)) < len(given):
        env.problems.append("CONTEXTS: a context is named twice")
    return tuple(name for name in KNOWN_CONTEXTS if name in given)


def urls_of_others(env: Env, hosted: tuple[str, ...]) -> dict[str, str]:
    """``<CONTEXT>_URL`` of contexts that live elsewhere."""
    urls = {name: url for name in KNOWN_CONTEXTS if (url := env.text(f"{name.upper()}_URL"))}
    for name, url in urls.items():
        if name in hosted:
            env.problems.append(f"{name.upper()}_URL: {name} is hosted here, so it can't live elsewhere too")
        if not url.startswith(("http://", "https://")):
            env.problems.append(f"{name.upper()}_URL: must be an http(s) address")
    return urls
