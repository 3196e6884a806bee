"""Entries of a stream in Redis: as messages that kombu opens, and held until they are done with. `streams` comes in."""

import json
from collections import defaultdict
from typing import Any, Final

from kombu.transport import virtual

FIELD: Final = b"message"

type Entry = tuple[str, str, dict[bytes, bytes]]
"""Queue, ID, fields."""


class Message(virtual.Message):  # type: ignore[misc]  # kombu has no types
    """An entry, opened. What kombu can't open is somebody else's, and shown as it is."""

    errors: Any = None  # kombu's

    def __init__(self, entry: Entry, channel: Any = None, **options: Any) -> None:
        try:
            super().__init__(_as_sent(*entry), channel=channel, **options)
            is_readable = isinstance(self.headers, dict) and isinstance(self.delivery_info, dict) and not self.errors
        except Exception:  # whatever one of them raises for what somebody has sent
            is_readable = False
        if not is_readable:
            self.errors = None
            super().__init__(_as_it_is(*entry), channel=channel, **options)


class QoS(virtual.QoS):  # type: ignore[misc]  # as above
    """What this worker holds: a delivery tag is queue and entry ID. Others than the consuming thread acknowledge."""

    restore_at_shutdown = False

    def ack(self, delivery_tag: str) -> None:
        """Done with: Redis forgets it."""
        self._let_go(delivery_tag, again=False)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put it at the end of its queue again, or forget it."""
        self._let_go(delivery_tag, again=requeue)

    def _let_go(self, delivery_tag: str, *, again: bool) -> None:
        try:
            self.channel.finish(delivery_tag, again=again)
        finally:  # if Redis did not hear of it, it is claimed no more, and soon somebody takes it
            self._quick_ack(delivery_tag)
            self.channel.room.set()

    def held(self) -> dict[str, list[str]]:
        """Entry IDs by queue."""
        self._flush()
        found = defaultdict(list)
        for tag in self._delivered:
            queue, _, entry = tag.rpartition(" ")
            found[queue].append(entry)
        return found


def _as_sent(queue: str, entry: str, fields: dict[bytes, bytes]) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(fields[FIELD])
    message["properties"]["delivery_tag"] = f"{queue} {entry}"
    return message


def _as_it_is(queue: str, entry: str, fields: dict[bytes, bytes]) -> dict[str, Any]:
    """The consumer says what becomes of it."""
    return {
        "body": json.dumps({_text(name): _text(value) for name, value in fields.items()}),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {"delivery_tag": f"{queue} {entry}", "delivery_info": {}},
    }


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
