"""What the watch over a database asks, and what it takes for an answer. There is no database: the test answers."""

import socket
import threading
from contextlib import contextmanager

import psycopg
import pytest

from shop.sharding.postgresql import asking

pytestmark = pytest.mark.once

PLAIN = "sslmode=disable gssencmode=disable user=nobody dbname=none"


@contextmanager
def server(answer):
    """Takes one connection, waits for its first message, says ``answer``, hangs up; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            there, _ = listening.accept()
            with there:
                there.recv(1_000)
                there.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"{PLAIN} hostaddr=127.0.0.1 port={listening.getsockname()[1]}"
        thread.join(10)


def refusal(severity, text):
    """An ErrorResponse as PostgreSQL sends it: too many clients."""
    fields = (f"S{severity}", "VFATAL", "C53300", f"M{text}")
    body = b"".join(each.encode() + b"\0" for each in fields) + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4) + body


@pytest.mark.parametrize(
    ("severity", "text"),
    [("FATAL", "sorry, too many clients already"), ("ВАЖНО", "извините, уже слишком много клиентов")],
)
def test_a_refusal_is_an_answer_in_whatever_language(severity, text):
    with server(refusal(severity, text)) as address:
        assert asking.answers(address)


def test_a_hang_up_is_none():
    with server(b"") as address:
        assert not asking.answers(address)


def test_every_address_of_every_name_is_found(monkeypatch):
    known = {"a.test": ["127.0.0.2", "::1"], "b.test": ["127.0.0.3"]}

    def look_up(host, port, **_):
        return [(None, None, None, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    found = [psycopg.conninfo.conninfo_to_dict(each) for each in asking.addresses_of("host=a.test,b.test port=5,6")]
    assert [(each["host"], each["hostaddr"], each["port"]) for each in found] == [
        ("a.test", "127.0.0.2", "5"),
        ("a.test", "::1", "5"),
        ("b.test", "127.0.0.3", "6"),
    ]
