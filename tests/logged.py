"""Everything that is logged while something is done, as it would be written."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from shop.observability.logs import dict_config


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """The log of the block, line by line as JSON."""
    written = io.StringIO()
    config = dict_config("DEBUG")["formatters"]["json"]
    formatter = config.pop("()")(**config)
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    structlog.contextvars.clear_contextvars()
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
