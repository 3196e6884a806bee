"""Bodies that come too slowly give their thread back. The WSGI application comes in.

The server waits for a body as long as its connection lives, and holds one of few threads meanwhile; it can be freed by
closing the connection only, and the server does not tell us which one that is. So, when a body is overdue, every
connection that has been sent nothing for as long is closed: those who send slowly, and those who keep an idle one open.
Linux tells how long that is; elsewhere put a proxy in front that reads bodies first.
"""

import os
import socket
import stat
import struct
import threading
import time
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 15.0
PATIENCE_UNDER_PRESSURE_SECONDS: Final = 3.0
CLOCK_SECONDS: Final = 0.01
"""How coarse the system's own clock of a connection may be."""
_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)
_LAST_DATA_SENT: Final = 44
"""Where `struct tcp_info` has the milliseconds since data was sent last, or since the connection was made."""
_INFO_LENGTH: Final = 48
_OPEN: Final = (1, 8)
"""What its first byte is while we may send: established, or closed by the client only."""


class SlowSenders:
    """Watches the threads of one server process that wait for a body."""

    def __init__(self, *, port: int, threads: int) -> None:
        self._port, self._threads = port, threads
        self._waiting: dict[int, float] = {}
        self._pressed_since = time.monotonic()

    def start(self) -> None:
        """Watch, as long as the process lives."""
        if _TCP_INFO is not None:
            threading.Thread(target=self._watch, name="slow-senders", daemon=True).start()

    def read(self, source: Any, length: int) -> bytes:
        """Up to ``length`` bytes of a body; fewer where the connection ended before them."""
        me = threading.get_ident()
        self._waiting[me] = time.monotonic()
        try:
            return bytes(source.read(length))
        finally:
            del self._waiting[me]

    def close_overdue(self) -> int:
        """Close what is overdue now; returns how many connections.

        The longest silent first, and no more than wait: whoever queues for a thread behind them came later.
        """
        now = time.monotonic()
        waits = [now - begun for begun in list(self._waiting.values())]
        patience = self._patience(len(waits), now)
        overdue = [wait for wait in waits if wait >= patience]
        if not overdue:
            return 0
        least = min(overdue) - CLOCK_SECONDS
        connections = _connections(self._port)
        try:
            silences = [(_silence(each), each) for each in connections]  # of equals the older one is in front
            longest_first = sorted(silences, key=lambda found: -found[0])
            return sum(_end(each) for silence, each in longest_first[: len(overdue)] if silence >= least)
        finally:
            for each in connections:
                each.close()

    def _patience(self, waiting: int, now: float) -> float:
        """Less once half of the threads wait; much less if that lasts, for then others have long been queueing."""
        if 2 * waiting < self._threads:
            self._pressed_since = now
            return PATIENCE_SECONDS
        lasts = now - self._pressed_since > PATIENCE_UNDER_PRESSURE_SECONDS + LOOK_SECONDS
        return LOOK_SECONDS if lasts else PATIENCE_UNDER_PRESSURE_SECONDS

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                if closed := self.close_overdue():
                    log.warning("slow_senders_closed", connections=closed)
            except Exception:
                log.exception("slow_senders_not_closed")


def _connections(port: int) -> list[socket.socket]:
    """A copy of each connection of ours to a client. A copy can't become another file under our hands."""
    found: dict[int, socket.socket] = {}
    for number in sorted(int(name) for name in os.listdir("/dev/fd")):  # noqa: PTH208  names, not paths
        if number in found:
            continue  # what had that number was the look into the folder
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue  # a copy of a database's file would have to stay open: closing it ends SQLite's locks
            copy = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        if _is_to_client(copy, port):
            found[copy.fileno()] = copy
        else:
            copy.close()
    return list(found.values())


def _is_to_client(connection: socket.socket, port: int) -> bool:
    try:
        connection.getpeername()  # fails for the listening one
        return bool(connection.getsockname()[1] == port)
    except (OSError, IndexError, TypeError):
        return False


def _silence(connection: socket.socket) -> float:
    """Seconds since anything was sent to the client, or since it came; 0 for one that we have closed."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO or 0, _INFO_LENGTH)
    except OSError:
        return 0.0
    return 0.0 if info[0] not in _OPEN else float(struct.unpack_from("=I", info, _LAST_DATA_SENT)[0]) / 1000


def _end(connection: socket.socket) -> bool:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False
    return True
