"""The broker that tests use: this machine's, under names of their own, which are gone afterwards."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from kombu import Connection, Exchange, Queue

URL: Final = os.environ.get("TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")
CONTEXTS: Final = ("auth", "catalog", "ordering")


@contextmanager
def namespace() -> Iterator[str]:
    """A namespace that nobody else has at the broker.

    Where it does not answer the test is skipped, which CI does not allow.
    """
    name = f"test-{secrets.token_hex(6)}"
    try:
        with Connection(URL, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"RabbitMQ does not answer: {type(error).__name__}")
    try:
        yield name
    finally:
        with Connection(URL) as connection, connection.channel() as channel:
            for context in CONTEXTS:
                Queue(f"{name}.events.{context}", channel=channel).delete()
            Exchange(f"{name}.events", type="topic", channel=channel).delete()


def waiting_in(name: str, context: str) -> int:
    """Messages in the queue of a context that no worker has taken."""
    with Connection(URL) as connection, connection.channel() as channel:
        return int(channel.queue_declare(f"{name}.events.{context}", passive=True).message_count)
