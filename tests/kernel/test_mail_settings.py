"""Where mails go and whom they come from, out of the environment: every mistake named, no password repeated."""

import pytest

from config.mailing import CONSOLE, FROM, mailers, mails_from
from contexts.auth import settings as auth
from contexts.catalog import settings as catalog
from shop.settings import Env

pytestmark = pytest.mark.once

FORMS = "EMAIL_URL: must be smtp://user:password@host:587?tls=true, or smtps://user:password@host:465"
ADDRESS = "must be an address like shop@shop.example or Shop <shop@shop.example>"
PAGE = "PASSWORD_RESET_URL: must be like https://shop.example/new-password#{token}, with {token} in it once"


def options(url):
    env = Env({"EMAIL_URL": url})
    found = mailers(env)["default"].get("OPTIONS", {})
    assert env.problems == []
    return found


def problems(read, **given):
    env = Env(given)
    read(env)
    return env.problems


def test_without_a_mail_server_mails_are_shown():
    assert mailers(Env({})) == {"default": CONSOLE}
    assert mails_from(Env({})) == FROM


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://mail.example", 25, False, False),
        ("smtp://mail.example:2525/", 2525, False, False),
        ("smtp://mail.example?tls=true", 587, True, False),
        ("smtp://mail.example:25?tls=false", 25, False, False),
        ("smtps://mail.example", 465, False, True),
    ],
)
def test_a_mail_server(url, port, tls, ssl):
    found = options(url)
    assert (found["host"], found["port"], found["use_tls"], found["use_ssl"]) == ("mail.example", port, tls, ssl)
    assert 0 < found["timeout"] <= 10


def test_user_and_password_are_percent_encoded():
    found = options("smtp://sh%40p:p%3Aw%2C%2F@mail.example:587?tls=true")
    assert (found["username"], found["password"]) == ("sh@p", "p:w,/")


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://:25",
        "smtp://mail.example:0",
        "smtp://mail.example:66000",
        "smtp://mail.example/path",
        "smtp://mail.example?tls=perhaps",
        "smtp://mail.example?tls",
        "smtp://mail.example?timeout=5",
        "smtps://mail.example?tls=true",
        "smtp://shop@mail.example?tls=true",
        "smtp://:secret@mail.example?tls=true",
        "smtp://shop:secret@[mail?tls=true",
        "smtp://mail.example#x",
    ],
)
def test_what_is_no_mail_server(url):
    assert problems(mailers, EMAIL_URL=url) == [FORMS]


def test_a_password_is_never_sent_in_the_clear_nor_repeated():
    [problem] = problems(mailers, EMAIL_URL="smtp://shop:secret@mail.example")
    assert problem == "EMAIL_URL: a password is sent over TLS only: add ?tls=true, or say smtps://"


@pytest.mark.parametrize("address", ["shop@shop.example", "Shop <shop@shop.example>", "shop@localhost"])
def test_who_writes(address):
    assert mails_from(Env({"EMAIL_FROM": address})) == address


@pytest.mark.parametrize(
    "address", ["shop", "shop@example", "a@shop.example, b@shop.example", "a@b.example\nBcc: c@d.example"]
)
def test_what_is_no_address(address):
    assert problems(mails_from, EMAIL_FROM=address) == [f"EMAIL_FROM: {ADDRESS}"]
    assert problems(catalog.fragment, STOCK_EMAIL=address) == [f"STOCK_EMAIL: {ADDRESS}"]


def test_whoever_sends_says_who_writes():
    assert problems(mails_from, EMAIL_URL="smtp://mail.example") == ["EMAIL_FROM: must be set where EMAIL_URL is"]


@pytest.mark.parametrize("url", ["https://shop.example/new#{token}", "http://localhost:3000/new?token={token}"])
def test_the_page_for_a_new_password(url):
    assert auth.fragment(Env({"PASSWORD_RESET_URL": url})).values == {"PASSWORD_RESET_URL": url}


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/new",
        "https://{token}.example/",
        "https://shop.example/{token}/{token}",
        "javascript:{token}",
        "/new#{token}",
        "https://[shop/{token}",
        "https://shop.example/new password#{token}",
    ],
)
def test_what_is_no_page_for_a_new_password(url):
    assert problems(auth.fragment, PASSWORD_RESET_URL=url) == [PAGE]
