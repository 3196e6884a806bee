"""Auth's pure rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.auth.domain import (
    InvalidEmailError,
    PasswordTooWeakError,
    check_password_length,
    email_of,
    fold_email,
)

pytestmark = pytest.mark.once

LONGEST = "a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 57, "org"])


@pytest.mark.parametrize(
    ("given_as", "stored_as"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada@Example.ORG\t", "ada@example.org"),
        ("ada.l+shop@mail.example.org", "ada.l+shop@mail.example.org"),
        ("ada\uff20example\uff0eorg", "ada@example.org"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("jürgen@müller.example", "jürgen@müller.example"),
        ("JU\u0308RGEN@example.org", "jürgen@example.org"),
        ("1@2.example", "1@2.example"),
        ("ada@शॉपिंग.भारत", "ada@शॉपिंग.भारत"),
        ("ada@xn--mller-kva.example", "ada@xn--mller-kva.example"),
        (LONGEST, LONGEST),
    ],
)
def test_an_address_is_stored_folded(given_as, stored_as):
    assert email_of(given_as) == stored_as


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@localhost",
        "ada@@example.org",
        "ada@example..org",
        "ada@.example.org",
        "ada@example.org.",
        "ada@-example.org",
        "ada@example-.org",
        "ada@exa_mple.org",
        "ada@192.168.0.1",
        ".ada@example.org",
        "ada.@example.org",
        "a..da@example.org",
        "ada lovelace@example.org",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org>",
        '"ada"@example.org',
        "ada\u200b@example.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "a" * 65 + "@example.org",
        "d" + LONGEST.replace("@", "x@", 1)[2:] + "g",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidEmailError) as refused:
        email_of(text)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("email", "invalid_email")]


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold_email(fold_email(text)) == fold_email(text)


@given(st.emails())
def test_case_and_blanks_around_make_no_other_address(address):
    assert fold_email(f" {address.upper()} ") == fold_email(address.lower())


@pytest.mark.parametrize("length", [0, 11, 129])
def test_a_shorter_or_longer_password_is_refused_without_being_repeated(length):
    password = "p" * length
    with pytest.raises(PasswordTooWeakError) as refused:
        check_password_length(password)
    assert refused.value.faults[0].field == "password"
    assert "ppp" not in repr(refused.value)
