"""Requests as a server hands them to the application, byte for byte: a test client would put right what is wrong."""

import json
from io import BytesIO
from itertools import count
from typing import Any
from urllib.parse import unquote_to_bytes

from shop.gateway.wsgi import Application

PROBLEM = "application/problem+json"
_application = Application()
_number = count(1)


class Answer:
    """What came back, and what a client makes of it."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a problem; what is not one in every respect has no code."""
        if self.headers.get("Content-Type") != PROBLEM or self.json.get("status") != self.status:
            return self.status, ""
        return self.status, str(self.json["code"])


def call(
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    token: str = "",
    headers: dict[str, str] | None = None,
    length: str | None = None,
) -> Answer:
    """One request, with or without a JSON body.

    Args:
        method: As it comes: the server checks none.
        path: With its query, escaped.
        body: None: there is none.
        token: Access token of the caller.
        headers: By their names in HTTP, in Latin-1; they go before what is made here.
        length: What Content-Length says, if not the truth; empty: it says nothing.
    """
    given = {"Content-Type": "application/json"} if body is not None else {}
    given |= {"Authorization": f"Bearer {token}"} if token else {}
    told: list[tuple[str, list[tuple[str, str]]]] = []
    environ = _environ(method, path, body or b"", given | (headers or {}))
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    answer = _application(environ, lambda status, fields: told.append((status, fields)))
    try:
        content = b"".join(answer)
    finally:
        answer.close()
    [(status, fields)] = told
    return Answer(int(status[:3]), dict(fields), content)


def _environ(method: str, path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    where, _, query = path.partition("?")
    number = next(_number)  # everybody comes from an address of his own: limits have tests of their own
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(where).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ
