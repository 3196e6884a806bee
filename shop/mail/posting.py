"""The way to the mail server, by the mailer of the settings, and what its refusals mean."""

import hashlib
import smtplib
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from django.conf import settings
from django.core.mail import EmailMessage, mailers
from django.core.mail.backends.base import BaseEmailBackend

from shop.mail.letters import Letter

PERMANENT: Final = 500
"""From here on a reply of a mail server is final (RFC 5321, 4.2.1)."""


class Refused(Exception):
    """The mail server will never take this letter. The message is its code, without its words: those quote."""


class NotTaken(Exception):
    """The mail server does not answer, or not now: it may have the letter, or not. The message says how it failed."""


class Post:
    """One round's connection to the mail server, opened when it is needed first."""

    def __init__(self) -> None:
        self._mailer: BaseEmailBackend | None = None
        self._down = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def open(self) -> BaseEmailBackend:
        """Be connected. Who was not let in is not tried again in this round, which would take a time-out each.

        Raises:
            NotTaken: Nobody answers, or does not let us in.
        """
        if self._down:
            raise NotTaken(self._down)
        if self._mailer is None:
            mailer = mailers.default
            try:
                mailer.open()
            except OSError as error:  # so is everything that smtplib raises
                self._down = _name(error)
                _leave(mailer)
                raise NotTaken(self._down) from None
            self._mailer = mailer
        return self._mailer

    def send(self, letter: Letter, message_id: str) -> None:
        """Hand over one letter; when this returns the mail server has it.

        Raises:
            Refused: It never will.
            NotTaken: Another time perhaps.
        """
        headers = {"Message-ID": message_id, "Auto-Submitted": "auto-generated"}
        message = EmailMessage(letter.subject, letter.text, to=[letter.to], headers=headers)
        mailer = self.open()
        try:
            mailer.send_messages([message])
        except ValueError:  # Django's, of an address that its mailer can't write; the message quotes it
            raise Refused("no address to send to") from None
        except OSError as error:
            if _is_final(error):
                raise Refused(_name(error)) from None
            self._close()
            raise NotTaken(_name(error)) from None

    def _close(self) -> None:
        mailer, self._mailer = self._mailer, None
        if mailer is not None:
            _leave(mailer)


def _leave(mailer: BaseEmailBackend) -> None:
    with suppress(OSError):  # what was taken is taken
        mailer.close()


def message_id(kind: str, origin: str, about: int) -> str:
    """The same for one mail at each try, so that a mail system can tell a repetition."""
    digest = hashlib.sha256(f"{kind} {origin} {about}".encode()).hexdigest()[:32]
    return f"<{digest}@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2].rstrip('>')}>"


def _is_final(error: OSError) -> bool:
    """Whether this reader or this text is refused for good. A refused sender is our mistake, which can be mended."""
    return isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) and _code(error) >= PERMANENT


def _code(error: OSError) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


def _name(error: OSError) -> str:
    code = _code(error)
    return f"{type(error).__name__}: {code}" if code else type(error).__name__
