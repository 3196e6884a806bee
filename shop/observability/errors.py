"""Errors told to Sentry, where a DSN is set. `config.settings` and the log's processors come in.

Only what was logged with its exception is told: no breadcrumbs, no requests, no locals. Sentry's own integrations are
off: they cost every request.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from shop.observability.masking import masked
from shop.observability.trace import trace_id

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

KEPT: Final = ("event_id", "timestamp", "level", "platform", "exception", "sdk", "release", "environment")

_told: list[bool] = []


def check_dsn(dsn: str) -> str:
    """``dsn`` as it is.

    Raises:
        ValueError: It is none. The message does not repeat it.
    """
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415  costs what nobody pays without a DSN

    try:
        Dsn(dsn)
    except (BadDsn, ValueError):
        raise ValueError("must be like https://key@sentry.example/1") from None
    return dsn


def report_to(dsn: str) -> None:
    """Tell errors there from now on."""
    import sentry_sdk  # noqa: PLC0415  costs what nobody pays without a DSN

    sentry_sdk.init(
        dsn=dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        send_default_pii=False,
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=_without_data,
    )
    _told.append(True)


def report(error: BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | bool) -> None:
    """Tell one error, if anybody is to be told; in the background."""
    if _told:
        import sentry_sdk  # noqa: PLC0415  loaded by `report_to`

        sentry_sdk.capture_exception(None if isinstance(error, bool) else error)


def _without_data(event: "Event", _hint: "Hint") -> "Event":
    """Where it happened and what it was; nothing of what was sent."""
    kept: dict[str, Any] = {name: value for name, value in event.items() if name in KEPT}
    for error in kept.get("exception", {}).get("values", ()):
        error["value"] = masked(str(error.get("value", "")))
        for frame in error.get("stacktrace", {}).get("frames", ()):
            frame.pop("vars", None)
    kept["tags"] = {"trace_id": trace_id()}
    return kept  # type: ignore[return-value]  # a subset of it
