"""Redis as a broker, for Celery: each queue is a stream, and its workers are one consumer group.

Celery's own transport pops a message off a list before it notes that it has it; who is killed in between has lost it.
Here Redis gives out a message and notes to whom in one command (XREADGROUP), and keeps it until it is acknowledged.
What a worker holds it claims again every second, so what is not claimed for some seconds was held by one that is dead.

Needs Redis 6.2. `Transport` is named to Celery in the settings.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty
from typing import Any, Final

import redis
from kombu.transport import virtual
from redis.backoff import NoBackoff
from redis.retry import Retry

from shop.events.broker.entries import FIELD, Entry, Message, QoS

GROUP: Final = "workers"
WAIT_SECONDS: Final = 5.0
"""For a connection or an answer: longer is a Redis that is away."""
BLOCK_SECONDS: Final = 0.5
"""How long a worker waits for a message before it looks after what it holds."""
RENEW_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 3.0
"""Without a renewal for so long, a message is given to another: some rounds of renewing, and soon after a kill."""
GIVEN_BACK: Final = 10 * IDLE_SECONDS


class Channel(virtual.Channel):  # type: ignore[misc]  # kombu has no types
    """Queues, bindings and messages in Redis. Topics are matched as they are, without wildcards."""

    QoS = QoS
    Message = Message
    do_restore = False

    def __init__(self, connection: "Transport", **options: Any) -> None:
        super().__init__(connection, **options)
        self.events: dict[str, set[Callable[..., Any]]] = {"basic_return": set()}
        self._me = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._renew_at = 0.0
        self._looked_to: dict[str, bytes] = {}
        self.room = threading.Event()
        self._redis: Any = connection.open()  # its types say that each answer may be one to await
        self._redis.ping()

    def queue_bind(self, queue: str, exchange: str = "", routing_key: str = "", *_: Any, **__: Any) -> None:
        """Messages of the topic ``routing_key`` go to ``queue`` from now on."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(_bindings(exchange), f"{routing_key} {queue}")
            pipe.sadd(_bound_at(queue), _bindings(exchange))
            pipe.execute()

    def queue_delete(self, queue: str, *_: Any, **__: Any) -> None:
        """Delete a queue with what is in it, and what leads to it."""
        for bindings in self._redis.smembers(_bound_at(queue)):
            gone = [each for each in self._redis.smembers(bindings) if each.endswith(f" {queue}".encode())]
            if gone:
                self._redis.srem(bindings, *gone)
        self._redis.delete(queue, _bound_at(queue))

    def exchange_delete(self, exchange: str, *_: Any, **__: Any) -> None:
        """Forget all bindings."""
        self._redis.delete(_bindings(exchange))

    def basic_publish(
        self, message: dict[str, Any], exchange: str, routing_key: str, mandatory: bool = False, **_: Any
    ) -> None:
        """Append to every queue that is bound.

        With ``mandatory`` it is told if there is none, or one of them is missing that nobody has deleted: it is to be
        sent again then, and those that have it know it.
        """
        self._inplace_augment_message(message, exchange, routing_key)
        text = json.dumps(message, separators=(",", ":"))
        with self._redis.pipeline(transaction=True) as pipe:
            for queue in self._bound(exchange, routing_key) if exchange else [routing_key]:
                pipe.xadd(queue, {FIELD: text}, nomkstream=True)
            entries = pipe.execute()
            is_taken = bool(entries) and all(entries)
        if mandatory and not is_taken:
            for tell in self.events["basic_return"]:
                tell(None, exchange, routing_key, message)

    def drain(self, deliver: Callable[[Entry, str], None], timeout: float) -> bool:
        """Deliver what there is, or what comes within ``timeout`` seconds; whether anything did."""
        due = time.monotonic() >= self._renew_at
        if due:
            self._renew_at = time.monotonic() + RENEW_SECONDS
            for queue, entries in self.qos.held().items():
                self._claim(queue, entries, idle_seconds=0)
        self.room.clear()
        room = self.qos.can_consume_max_estimate() if self.qos.prefetch_count else 1
        if not room:
            self.room.wait(min(timeout, BLOCK_SECONDS))
        queues = self._active_queues
        if not room or not queues:
            return False
        entries = (self._abandoned(queues, room) if due else []) or list(self._read(queues, room, timeout))
        for entry in entries:
            deliver(entry, entry[0])
        return bool(entries)

    def finish(self, delivery_tag: str, *, again: bool = False) -> None:
        """Take an entry off its queue; ``again``: and append its message, in one step."""
        queue, _, entry = delivery_tag.rpartition(" ")
        content = self._redis.xrange(queue, entry, entry) if again else []
        with self._redis.pipeline(transaction=True) as pipe:
            for _, fields in content:
                pipe.xadd(queue, fields)
            pipe.xack(queue, GROUP, entry)
            pipe.xdel(queue, entry)
            pipe.execute()

    def close(self) -> None:
        """Leave what is held to the others, at once; where Redis does not answer, they find it after some seconds."""
        if not self.closed and self._qos is not None:
            with suppress(redis.RedisError, OSError):
                for queue, entries in self._qos.held().items():
                    self._claim(queue, entries, idle_seconds=GIVEN_BACK)
        super().close()
        self._redis.close()

    def encode_body(self, body: str | bytes, _: str | None = None) -> tuple[str, str | None]:
        """Text as it is, as ours always is; bytes in base64."""
        encoded: tuple[str, str | None] = super().encode_body(body, "base64" if isinstance(body, bytes) else None)
        return encoded

    def _new_queue(self, queue: str, **_: Any) -> None:
        try:
            self._redis.xgroup_create(queue, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return bool(self._redis.exists(queue))

    def _size(self, queue: str) -> int:
        """Messages that nobody has taken."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.xlen(queue)
            pipe.xpending(queue, GROUP)
            size, pending = pipe.execute()
        return int(size - pending["pending"])

    def _purge(self, queue: str) -> int:
        return int(self._redis.xtrim(queue, maxlen=0, approximate=False))

    def _get(self, queue: str, *_: Any) -> Entry:
        for entry in self._abandoned([queue], 1) or self._read([queue], 1, 0):
            return entry
        raise Empty

    def _bound(self, exchange: str, routing_key: str) -> list[str]:
        bound = (member.decode().split(" ") for member in self._redis.smembers(_bindings(exchange)))
        return sorted({queue for topic, queue in bound if topic == routing_key})

    def _claim(self, queue: str, entries: Sequence[str], *, idle_seconds: float) -> None:
        self._redis.xclaim(queue, GROUP, self._me, 0, list(entries), idle=int(idle_seconds * 1_000), justid=True)

    def _abandoned(self, queues: Sequence[str], most: int) -> list[Entry]:
        """What dead workers held. Each look goes on where the last one ended: some of what is held is in good hands."""
        found: list[Entry] = []
        for queue in queues:
            start, idle = self._looked_to.get(queue, b"0-0"), int(IDLE_SECONDS * 1_000)
            self._looked_to[queue], entries, *_ = self._redis.xautoclaim(queue, GROUP, self._me, idle, start, most)
            found += [(queue, entry.decode(), fields) for entry, fields in entries]
        return found

    def _read(self, queues: Sequence[str], most: int, seconds: float) -> Iterator[Entry]:
        block = max(1, int(min(seconds, BLOCK_SECONDS) * 1_000))
        found = self._redis.xreadgroup(GROUP, self._me, dict.fromkeys(queues, ">"), count=most, block=block)
        for queue, entries in found:
            for entry, fields in entries:
                yield queue.decode(), entry.decode(), fields


class Transport(virtual.Transport):  # type: ignore[misc]  # as above
    """To Redis, by the URL as it is."""

    Channel = Channel
    can_parse_url = True
    driver_type = "redis-streams"
    driver_name = "redis"
    connection_errors = (*virtual.Transport.connection_errors, redis.ConnectionError, redis.TimeoutError, OSError)
    channel_errors = (*virtual.Transport.channel_errors, redis.RedisError)

    def open(self) -> redis.Redis:
        """A client whose every answer is waited for some seconds, once: who waits again is above."""
        return redis.Redis.from_url(
            self.client.hostname,
            socket_timeout=WAIT_SECONDS,
            socket_connect_timeout=WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def driver_version(self) -> str:
        """Of the library."""
        return redis.__version__

    def drain_events(self, _: Any, timeout: float | None = None) -> None:
        """Deliver what there is on any channel.

        Raises:
            TimeoutError: Nothing came. Celery then does what it has put off, like acknowledging.
        """
        found = [channel.drain(self._deliver, timeout or BLOCK_SECONDS) for channel in list(self.channels)]
        if not any(found):
            raise TimeoutError


def weaknesses(url: str) -> list[str]:
    """By what the Redis at ``url`` could lose messages that it has taken."""
    with redis.Redis.from_url(url, socket_timeout=WAIT_SECONDS, socket_connect_timeout=WAIT_SECONDS) as client:
        told: dict[str, Any] = client.info()
    found = []
    if not told.get("aof_enabled"):
        found.append("it forgets its queues at a restart: set appendonly yes, and appendfsync always")
    if told.get("maxmemory") and told.get("maxmemory_policy") != "noeviction":
        found.append(
            f"it may throw queues away when it is full: set maxmemory-policy noeviction, not {told['maxmemory_policy']}"
        )
    return found


def _bindings(exchange: str) -> str:
    return f"{exchange}:bindings"


def _bound_at(queue: str) -> str:
    return f"{queue}:bound"
