"""The brokers that tests use: those of this machine, under names of their own, which are gone afterwards."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from kombu import Connection, Exchange, Queue

URLS: Final = {
    "RabbitMQ": os.environ.get("TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "Redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15"),
}
CONTEXTS: Final = ("auth", "catalog", "ordering")


@contextmanager
def namespace_at(kind: str) -> Iterator[tuple[str, str]]:
    """URL of a broker and a namespace that nobody else has there.

    Where the broker does not answer the test is skipped, which CI does not allow.
    """
    url, name = URLS[kind], f"test-{secrets.token_hex(6)}"
    try:
        with Connection(url, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{kind} does not answer: {type(error).__name__}")
    try:
        yield url, name
    finally:
        _remove(kind, url, name)


def _remove(kind: str, url: str, name: str) -> None:
    with Connection(url) as connection, connection.channel() as channel:
        if kind == "Redis":
            for key in list(channel.client.scan_iter(match=f"{name}:*")):
                channel.client.delete(key)
            return
        for context in CONTEXTS:
            Queue(f"{name}.events.{context}", channel=channel).delete()
        Exchange(f"{name}.events", type="topic", channel=channel).delete()


def waiting_at(url: str, name: str, context: str) -> int:
    """Messages in the queue of a context that nobody has taken yet."""
    queue = f"{name}.events.{context}"
    with Connection(url) as connection, connection.channel() as channel:
        if url.startswith("redis"):
            return int(channel.client.llen(f"{name}:{queue}"))
        return int(channel.queue_declare(queue, passive=True).message_count)
