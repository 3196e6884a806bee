"""People of auth's stories, and what they send. Plain functions; the tests beside this file come in."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

from django.contrib.auth.models import Group
from django.db import connections
from django.test import Client

from shop.sharding.router import staff_home
from shop.staff.models import StaffUser

AUTH = "/api/v1/auth"
PASSWORD = "correct horse battery"
_number = count(1)


def new_email() -> str:
    return f"person{next(_number)}@example.org"


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"{AUTH}/{path}", body, content_type="application/json")


def registered(client: Client, email: str | None = None, **more: Any) -> dict[str, Any]:
    """A customer who has just opened an account, as the API shows it."""
    answer = post(client, "register", email=email or new_email(), password=PASSWORD, **more)
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def signed_in(client: Client) -> dict[str, Any]:
    """Tokens of a new customer."""
    return tokens_of(post(client, "token", email=registered(client)["email"], password=PASSWORD))


def staff(*roles: str, email: str | None = None, **more: Any) -> StaffUser:
    """A staff account with roles."""
    account = StaffUser.objects.create_user(email or new_email(), PASSWORD, **more)
    for role in roles:
        group, _ = Group.objects.using(staff_home()).get_or_create(name=role)
        account.groups.add(group)
    return account


def staff_signed_in(client: Client, account: StaffUser) -> dict[str, Any]:
    return tokens_of(post(client, "staff/token", email=account.email, password=PASSWORD))


def tokens_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def refreshed(client: Client, tokens: dict[str, Any]) -> Any:
    return post(client, "token/refresh", refresh=tokens["refresh"])


def bearing(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access']}"}


def refusal(answer: Any) -> tuple[int, str]:
    """Status and code of a problem."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def at_once[T](times: int, act: Callable[[int], T]) -> list[T]:
    """``act`` in as many threads, all let go at the same moment."""
    gate = Barrier(times)

    def run(number: int) -> T:
        try:
            gate.wait(10)
            return act(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))
