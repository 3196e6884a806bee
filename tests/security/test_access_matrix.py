"""Every operation of the API's document, asked for by every kind of caller, about its own things and other people's.

Two callers more have a token of an account that has lost it: ``ended``, whose sign-in was logged out, and ``off``, a
superuser who was switched off. No event is delivered here, and no request asks a database about its token, so an
access token is as good as before; the refresh token, by which it would be replaced, is refused at once. What becomes
of access tokens where events are delivered is told in `test_ended_sign_ins`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import jwt
import pytest
from django.conf import settings

from shop.gateway.tokens import mint
from shop.staff.models import StaffUser
from tests.documented import document
from tests.plugin import make_principal
from tests.security.access import CALLERS, Row, code, rows
from tests.security.calling import Answer, call
from tests.security.forgeries import claims, signed
from tests.security.hostile_values import new_key, text_of
from tests.security.operations import Good, Operation, operations
from tests.security.world import PASSWORD, World, changes, make_world, stored, things_of, undone

pytestmark = [
    pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"]),
    pytest.mark.once,
]

AS = {"ended": "owner", "off": "super"}
OFF = "off@example.org"
ACCESS_SECONDS = 300
TOKENS = "/api/v1/auth/token"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A world as each of its two customers sees it, a draft in it, and a token for each caller.

    Attributes:
        worlds: ``worlds[i]`` has the things of customer ``i``, and the other one as the other.
        staff: Tokens of staff by the caller's name.
        sessions: What signing in gave to the callers who have lost it since.
    """

    worlds: tuple[World, World]
    draft: str
    staff: dict[str, str]
    sessions: dict[str, dict[str, str]]

    def token(self, caller: str, world: World) -> str:
        if caller in ("nobody", "owner", "other"):
            return {"nobody": "", "owner": world.customer, "other": world.other}[caller]
        if caller == "expired":
            then = int(time.time()) - ACCESS_SECONDS - 1
            return signed(claims(iat=then, exp=then + ACCESS_SECONDS))
        return self.sessions[caller]["access"] if caller in AS else self.staff[caller]


def post(path: str, body: object, token: str = "") -> Answer:
    return call("POST", path, text_of(body), token=token, headers={"Idempotency-Key": new_key()})


def refusal_of_refresh(session: dict[str, str]) -> tuple[int, str]:
    return post(f"{TOKENS}/refresh", {"refresh": session["refresh"]}).refusal


def make_shop() -> Shop:
    world = make_world()
    theirs = things_of(world.other, world.variant, world.staff)
    mirrored = replace(world, customer=world.other, other=world.customer, email="grace@example.org", **theirs)
    variant = {"sku": "BOWL-1", "price": {"amount": 900, "currency": "GBP"}}
    draft = {"name": "Bowl", "category_id": world.category, "variants": [variant], "status": "draft"}
    roles = {"editor": ["catalog_editor"], "desk": ["order_desk"], "reader": ["read_only"], "super": ["superuser"]}
    return Shop(
        worlds=(world, mirrored),
        draft=post("/api/v1/catalog/products", draft, world.staff).json["id"],
        staff={name: mint(make_principal("staff", *held)) for name, held in {**roles, "norole": []}.items()},
        sessions={"ended": ended(world.email), "off": off()},
    )


def ended(email: str) -> dict[str, str]:
    """A customer's sign-in, logged out again."""
    session: dict[str, str] = post(TOKENS, {"email": email, "password": PASSWORD}).json
    assert post(f"{TOKENS}/revoke", {"refresh": session["refresh"]}).status == 204
    return session


def off() -> dict[str, str]:
    """The sign-in of a superuser who was switched off afterwards."""
    account = StaffUser.objects.create_user(OFF, PASSWORD, is_superuser=True)
    session: dict[str, str] = post("/api/v1/auth/staff/token", {"email": OFF, "password": PASSWORD}).json
    account.is_active = False
    account.save()
    return session


def ask(shop: Shop, row: Row, known: dict[str, Operation], world: World, caller: str) -> Answer:
    """The good request of the row's operation about what is ``world.customer``'s, by this caller."""
    token = shop.token(caller, world)
    if row.operation not in known:  # the keys of tokens, at the root
        return call(row.method, row.path, token=token)
    each = known[row.operation]
    good = each.good(world)
    if row.state == "draft":
        good = Good(path={"product_id": shop.draft})
    return each.send(world, good, token=token)


def faults(row: Row, world: World, caller: str, answer: Answer) -> Iterator[str]:
    """What is wrong with an answer: its status, its code, or whose things it shows."""
    expected = row.expected[AS.get(caller, caller)]
    if answer.status != expected:
        yield f"{row} by {caller}: {answer.status} {answer.body[:200]!r}, not {expected}"
    elif expected >= 400 and answer.refusal[1] != code(caller, expected):
        yield f"{row} by {caller}: {answer.refusal}, not {code(caller, expected)}"
    if caller == "other" or answer.status >= 400:
        private = (world.email, world.address, world.pending, world.to_cancel, world.paid, world.shipped)
        if shows := [each for each in private if each.encode() in answer.body]:
            yield f"{row} by {caller} shows what is not theirs: {shows}"


def cells(shop: Shop, *, refused: bool) -> Iterator[tuple[Row, World, str]]:
    """Every caller at every row, at things of either customer where they are owned: those who are let in, or not."""
    for row in rows():
        for world in shop.worlds if row.owned else shop.worlds[:1]:
            for caller in (*CALLERS, *AS):
                if caller == "ended" and world is not shop.worlds[0]:
                    continue  # it was the first customer's sign-in
                if (row.expected[AS.get(caller, caller)] >= 400) == refused:
                    yield row, world, caller


def shown(answered: dict[tuple[str, str], set[int]]) -> str:
    """What was answered, one line per operation."""
    callers = (*CALLERS, *AS)
    head = f"{'':68}" + "".join(f"{caller:>8}" for caller in callers)
    lines = [
        f"{row!s:68}" + "".join(f"{'/'.join(map(str, sorted(answered[str(row), caller]))):>8}" for caller in callers)
        for row in rows()
    ]
    ends = f"""{len({row.operation for row in rows()})} operations x {len(callers)} callers
ended: the sign-in was logged out; off: a superuser who was switched off.
Their refresh tokens are refused at once, their access tokens when they are {ACCESS_SECONDS} seconds old."""
    return "\n".join([head, *lines, ends])


def test_every_operation_of_the_document_has_a_row_and_every_row_an_operation():
    documented = {f"{method.upper()} {path}" for path, at in document()["paths"].items() for method in at}
    assert {row.operation for row in rows()} == documented


def test_everybody_is_answered_what_the_table_says():
    # given a shop with two customers, and every operation
    shop = make_shop()
    known = {str(each).replace("<", "{").replace(">", "}"): each for each in operations()}
    answered: dict[tuple[str, str], set[int]] = {}
    found: list[str] = []
    before = stored()
    # when those ask who are refused, and then, each as if no other had, those who are let in
    for row, world, caller in cells(shop, refused=True):
        answer = ask(shop, row, known, world, caller)
        found += faults(row, world, caller, answer)
        answered.setdefault((str(row), caller), set()).add(answer.status)
    left_behind = changes(before, stored())
    for row, world, caller in cells(shop, refused=False):
        with undone():
            answer = ask(shop, row, known, world, caller)
        found += faults(row, world, caller, answer)
        answered.setdefault((str(row), caller), set()).add(answer.status)
    print("\n" + shown(answered))
    # then each is answered as promised, and whoever was refused has changed nothing
    assert found == []
    assert left_behind == []


def test_a_sign_in_that_was_ended_is_refreshed_no_more_and_its_access_token_lasts_five_minutes():
    # given a customer signed in thrice, who logs out of one and then changes the password
    world = make_world()
    [first, second, third] = [post(TOKENS, {"email": world.email, "password": PASSWORD}).json for _ in range(3)]
    assert post(f"{TOKENS}/revoke", {"refresh": first["refresh"]}).status == 204
    assert refusal_of_refresh(first) == (401, "token_invalid")
    successor = post(f"{TOKENS}/refresh", {"refresh": second["refresh"]}).json
    new = {"current_password": PASSWORD, "new_password": "a horse of another colour"}
    assert post("/api/v1/auth/me/password", new, third["access"]).status == 204
    # then no sign-in is refreshed
    assert [refusal_of_refresh(each) for each in (successor, third)] == [(401, "token_invalid")] * 2
    # and what is still out is over when it is five minutes old
    for session in (first, second, successor, third):
        body = jwt.decode(session["access"], options={"verify_signature": False})
        assert body["exp"] - body["iat"] == session["expires_in"] == ACCESS_SECONDS


def test_a_staff_account_that_was_switched_off_is_refreshed_no_more_and_signs_in_no_more():
    assert refusal_of_refresh(off()) == (401, "token_invalid")
    again = post("/api/v1/auth/staff/token", {"email": OFF, "password": PASSWORD})
    assert again.refusal == (401, "invalid_credentials")
