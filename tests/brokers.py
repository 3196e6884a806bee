"""The brokers that tests use: this machine's, under names of their own, which are gone afterwards."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest
from celery import Celery, _state
from celery.contrib.testing.worker import start_worker
from kombu import Connection, Exchange, Queue

from shop.events.broker.app import make_app, transport_of
from shop.events.broker.topology import declare

URLS: Final = {
    "RabbitMQ": os.environ.get("TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "Redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15"),
}
CONTEXTS: Final = ("auth", "catalog", "ordering")


def connected(url: str) -> Connection:
    """A connection to a broker, as the shop makes it."""
    return Connection(url, transport=transport_of(url), connect_timeout=3)


@contextmanager
def namespace(url: str) -> Iterator[str]:
    """A namespace that nobody else has at the broker.

    Where it does not answer the test is skipped, which CI does not allow.
    """
    name = f"test-{secrets.token_hex(6)}"
    try:
        with connected(url) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT TESTED: no broker at {url.partition(':')[0]}: {type(error).__name__}")
    try:
        yield name
    finally:
        with connected(url) as connection, connection.channel() as channel:
            for context in CONTEXTS:
                Queue(f"{name}.events.{context}", channel=channel).delete()
            Exchange(f"{name}.events", type="topic", channel=channel).delete()


@contextmanager
def declared(settings: Any, url: str) -> Iterator[Celery]:
    """The application of a shop at the broker ``url``, with its queues, under a namespace of its own."""
    settings.BROKER_URL = url
    with namespace(url) as settings.BROKER_NAMESPACE:
        app = make_app()
        with app.connection_for_write() as connection:
            declare(connection)
        yield app


@contextmanager
def worker(app: Celery) -> Iterator[None]:
    """A worker in a thread of this process. Celery's own helper leaves its levels of logging behind, and its app."""
    level, handlers = logging.root.level, logging.root.handlers[:]
    current, default = _state._tls.current_app, _state.default_app
    try:
        with start_worker(app, perform_ping_check=False, pool="solo", loglevel="info"):
            yield
    finally:
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers
        _state._tls.current_app, _state.default_app = current, default


def waiting_in(url: str, name: str, *contexts: str) -> int:
    """Messages in the queues of contexts, of all that have one unless told, that no worker has taken."""
    found = 0
    with connected(url) as connection:
        for context in contexts or CONTEXTS:
            with suppress(*connection.channel_errors), connection.channel() as channel:
                found += int(channel.queue_declare(f"{name}.events.{context}", passive=True).message_count)
    return found
