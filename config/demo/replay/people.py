"""Whoever buys: customers by the number they have in the file, guests by their invoice. They come in through auth."""

import secrets
from functools import lru_cache
from typing import Final

from config.demo.replay.baskets import Basket
from config.demo.replay.client import Client
from contexts.auth import services
from contexts.auth.domain import EmailTakenError
from contexts.auth.services.customers import customer_with
from shop.sharding import alias_of

MOST_KNOWN: Final = 100_000
PASSWORD_BYTES: Final = 24


class People:
    """Customers of the replay, made at their first order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._buyer = lru_cache(MOST_KNOWN)(self._come_in)

    def buyer_of(self, basket: Basket) -> int:
        """The ID of the basket's customer; nobody knows the password of one that is new."""
        kind, number = ("customers", basket.customer) if basket.customer else ("guests", basket.invoice)
        return self._buyer(kind, number)

    def known(self, basket: Basket) -> int | None:
        """The ID of the basket's customer, if that one was ever here."""
        return self._client.patiently("auth", lambda: _id_of(_email("customers", basket.customer)))

    def _come_in(self, kind: str, number: str) -> int:
        customer_id = self._client.patiently("auth", lambda: self._find_or_register(kind, number))
        self._client.tally.add_rows("auth.customers", alias_of("auth", customer_id))
        return customer_id

    def _find_or_register(self, kind: str, number: str) -> int:
        email = _email(kind, number)
        found = _id_of(email)
        if found is not None:
            return found
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        try:
            made = services.register(email=email, password=password, name=f"{kind[:-1].title()} {number}")
        except EmailTakenError:  # another replay was faster
            return self._find_or_register(kind, number)
        self._client.tally.add("made", kind)
        return made.customer_id


def _email(kind: str, number: str) -> str:
    return f"{number}@replay.invalid" if kind == "customers" else f"guest-{number}@replay.invalid"


def _id_of(email: str) -> int | None:
    customer = customer_with(email)
    return None if customer is None else customer.pk
