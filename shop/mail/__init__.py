"""Mails: what one is about is stored with its cause, its words are written when it is sent. Contexts come in here."""

from shop.mail.letters import Letter, letter, render
from shop.mail.storing import store_mail

__all__ = ["Letter", "letter", "render", "store_mail"]
