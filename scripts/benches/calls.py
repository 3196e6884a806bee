"""Calling a server once, where time does not matter: preparing, comparing answers."""

import json
from http.client import HTTPConnection
from typing import Any, Final

from scripts.benches.problems import BenchError

PATIENCE_SECONDS: Final = 30.0
FIRST_ERROR: Final = 300


def call(port: int, method: str, path: str, body: Any = None, *, token: str = "", key: str = "") -> bytes:
    """The answer's body.

    Raises:
        BenchError: It was no success.
    """
    headers = {"Content-Type": "application/json"} if body is not None else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Idempotency-Key": key} if key else {}
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise BenchError(f"{method} {path}: {error}") from error
    finally:
        connection.close()
    if answer.status >= FIRST_ERROR:
        raise BenchError(f"{method} {path}: {answer.status} {content[:FIRST_ERROR].decode(errors='replace')}")
    return content
