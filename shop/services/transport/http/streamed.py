"""An answer that has begun, and comes as long as somebody reads it."""

import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import Final

CHUNK: Final = 65_536


class Streamed:
    """Such an answer.

    Attributes:
        status: Its status.
        headers: As they came, in their order.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        wire: socket.socket,
        response: HTTPResponse,
        give_back: Callable[[HTTPConnection], None],
    ) -> None:
        self._connection: HTTPConnection | None = connection
        self._wire, self._response, self._give_back = wire, response, give_back
        self._is_whole = False
        self.status: int = response.status
        self.headers = response.getheaders()

    def chunks(self, until: float | None = None) -> Iterator[bytes]:
        """The body, as it comes; all of it by ``until``, in monotonic seconds.

        Raises:
            OSError, HTTPException: It broke off, or did not come in time.
        """
        while chunk := self._next(until):
            yield chunk
        if self._response.length:
            raise IncompleteRead(b"", self._response.length)
        self._is_whole = self._response.isclosed()

    def _next(self, until: float | None) -> bytes:
        if until is not None:
            self._wire.settimeout(left_until(until))
        return self._response.read1(CHUNK)

    def close(self) -> None:
        """Give the connection back if all was read, else end it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._is_whole and not self._response.will_close:
            self._give_back(connection)
        else:
            connection.close()


def left_until(until: float) -> float:
    """Seconds until then.

    Raises:
        TimeoutError: It is over.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
