"""A server that leaves has the one that shares its port take over first. The server's first process comes in.

A connection that was made, but has not said yet what it wants, is closed when a worker stops. So nobody new is led
here any more, and who came before has a moment to speak; then the workers stop. Linux only: elsewhere ports are not
shared, and nothing is done.
"""

import ctypes
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

SPEAK_SECONDS: Final = 1.0
_ATTACH: Final = 51
"""SO_ATTACH_REUSEPORT_CBPF: a program that tells which of a port's listeners gets a connection."""
_RETURN: Final = 0x06
_SECOND: Final = 1
"""Listeners are numbered as they came, and the one that leaves came first. Alone it gets all that come: there is no
second one then, which the kernel takes for "any"."""
_LISTENS: Final = "0A"


def hand_over(listener: socket.socket) -> None:
    """Lead new connections to the listener that came after this one, if there is one; returns when it may be closed."""
    if not _shares(listener):
        return
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN, 0, 0, _SECOND))
    with suppress(OSError):  # a kernel that lets nobody do that: what is made in this moment is shared out as before
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("@HP", 1, ctypes.addressof(instruction)))
    time.sleep(SPEAK_SECONDS)


def _shares(listener: socket.socket) -> bool:
    """Whether somebody else listens at the same address and port."""
    ours = str(os.fstat(listener.fileno()).st_ino)
    rows = [row for name in ("tcp", "tcp6") for row in _rows(Path("/proc/net") / name)]
    at = {row[1] for row in rows if row[9] == ours}
    return any(row[1] in at and row[3] == _LISTENS and row[9] != ours for row in rows)


def _rows(table: Path) -> list[list[str]]:
    return [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
