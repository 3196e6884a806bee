"""Who writes which letter: filled by `@letter` in the contexts' `tasks`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.template.loader import render_to_string

ENGINE: Final = "mails"
"""Of the settings' ``TEMPLATES``: the one that escapes nothing, a mail being plain text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What goes to the mail server. Personal, and secret where it holds a token: it is never stored or logged."""

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)


type Writer = Callable[[int, Mapping[str, Any]], Letter | None]
"""Given what a mail is about, and its facts: the letter as it is true now, the same at each try; None: nobody wants it.

It is called outside any transaction, and may ask other contexts.
"""

_writers: dict[str, Writer] = {}


def letter(write: Writer) -> Writer:
    """Let a function of a context's `tasks` write the letters of its name.

    Raises:
        TypeError: Another one does already.
    """
    kind = f"{write.__module__.split('.')[1]}.{write.__name__}"
    if kind in _writers:
        raise TypeError(f"two functions write {kind}")
    _writers[kind] = write
    return write


def writer_of(kind: str) -> Writer:
    """Who writes letters of ``kind``.

    Raises:
        LookupError: Nobody does, here.
    """
    return _writers[kind]


def render(template: str, *, to: str, **values: Any) -> Letter:
    """A letter from ``<template>.txt`` and ``<template>_subject.txt``, as in Django's own mails."""
    subject = render_to_string(f"{template}_subject.txt", values, using=ENGINE)
    text = render_to_string(f"{template}.txt", values, using=ENGINE)
    return Letter(to=to, subject=" ".join(subject.split()), text=text)
