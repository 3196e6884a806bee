"""A mail server on loopback: it keeps what it takes, and says what it is told to."""

import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from threading import Thread
from typing import Any

from shop.events.jobs import jobs_of, run_job

SMTP = "django.core.mail.backends.smtp.EmailBackend"
TAKEN = "250 taken"
LAST_LINE = b".\r\n"


@dataclass
class MailServer:
    """What it has taken, and how it answers.

    Attributes:
        replies: By the command they answer; ``DATA`` is answered 354 and then, for the mail itself, as ``.`` says.
        before_taken: Called when a mail is there, before it is taken.
        hangs_up: Whether it says nothing to a mail that it has taken, as if the connection broke.
    """

    taken: list[EmailMessage] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    before_taken: Callable[[], None] = lambda: None
    hangs_up: bool = False
    connections: int = 0
    port: int = 0

    def mailers(self, **options: Any) -> dict[str, Any]:
        """Django's setting for this server."""
        return {
            "default": {"BACKEND": SMTP, "OPTIONS": {"host": "127.0.0.1", "port": self.port, "timeout": 5, **options}}
        }

    def ids(self) -> list[str]:
        """The Message-ID of each mail that it has taken."""
        return [message["Message-ID"] for message in self.taken]


@contextmanager
def running(port: int = 0) -> Iterator[MailServer]:
    """A mail server for the block, at a free port or at this one."""
    server = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _converse(server, self.rfile, self.wfile)

    class Listener(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who sends mails may be killed at any line."""

    with Listener(("127.0.0.1", port), Session) as listener:
        server.port = listener.server_address[1]
        thread = Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        listener.shutdown()
        thread.join()


def _converse(server: MailServer, heard: Any, said: Any) -> None:
    server.connections += 1

    def say(reply: str) -> None:
        said.write(f"{reply}\r\n".encode())

    say(server.replies.get("", "220 here"))
    while line := heard.readline().decode().strip():
        verb = line.split()[0].upper()
        if verb == "QUIT":
            say("221 bye")
            return
        if verb != "DATA" or "DATA" in server.replies:
            say(server.replies.get(verb, "250 ok"))
            continue
        say("354 go on")
        text = _until_the_end(heard)
        server.before_taken()
        if server.replies.get(".", TAKEN) == TAKEN:
            server.taken.append(message_from_bytes(text, policy=policy.default))
        if server.hangs_up:
            return
        say(server.replies.get(".", TAKEN))


def _until_the_end(heard: Any) -> bytes:
    """The text of a mail.

    Raises:
        ConnectionError: Who sends it died in the middle.
    """
    lines = []
    while (line := heard.readline()) != LAST_LINE:
        if not line:
            raise ConnectionError
        lines.append(line)
    return b"".join(lines)


def send_what_waits(context: str) -> None:
    """Run the job that sends the mails of ``context``, as the delivery does."""
    [job] = [job for job in jobs_of(context) if job.name == f"{context}.send_mails"]
    assert run_job(job)
