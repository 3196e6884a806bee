"""A gateway is fit for traffic when every context is: `/readyz` asks each where it lives."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.conf import settings

from shop.observability.health import OK, readiness
from shop.services.transport.http.connections import NoAnswer, NotSent
from shop.services.transport.http.targets import target_of

WAIT_SECONDS: Final = 2.0
SUCCESS: Final = 200


def declare_contexts() -> None:
    """The kernel's `apps` comes in here."""
    if not settings.CONTEXTS:
        readiness("contexts", contexts_ready)


def contexts_ready() -> dict[str, str]:
    """By context: whether the process that hosts it is ready."""
    urls = dict(settings.CONTEXT_URLS)  # two that are silent are waited for together
    with ThreadPoolExecutor(max(1, len(urls)), thread_name_prefix="ready") as asking:
        return dict(zip(urls, asking.map(_is_ready, urls, urls.values()), strict=True))


def _is_ready(context: str, url: str) -> str:
    try:
        answer = target_of(context, url).connections.send("GET", "/readyz", b"", {}, seconds=WAIT_SECONDS)
    except (NotSent, NoAnswer) as error:
        return f"does not answer ({type(error).__name__})"
    return OK if answer.status == SUCCESS else "not ready"
