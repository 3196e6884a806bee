"""Values that nobody sends by accident, by what they take the place of."""

import json
from itertools import count
from typing import Any

from shop.sharding.public_ids import ALPHABET, public_id

_number = count(1)


def new_key() -> str:
    """An Idempotency-Key that was not there before."""
    return f"key-{next(_number)}"


def text_of(value: Any) -> bytes:
    """JSON; infinity is written as a number that only overflows when it is read."""
    return json.dumps(value).replace("Infinity", "1e400").encode()


# ---- bodies that are no JSON: before anybody asks who sends them -------------------------------------------------

NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "a blank": b" ",
    "a brace": b"{",
    "cut off": b'{"name": "Ada", "em',
    "two values": b"{} {}",
    "something behind": b'{"a": 1};',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": "b"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": "b"}'.encode("utf-16-le"),
    "UTF-32": '{"a": "b"}'.encode("utf-32"),
    "Latin-1": '{"name": "Zoé"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "beyond any number": b'{"a": 1e400}',
    "a number of 5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a leading zero": b'{"a": 01}',
    "a plus": b'{"a": +1}',
    "hexadecimal": b'{"a": 0x1}',
    "the same name twice": b'{"a": 1, "a": 2}',
    "the same name twice, written otherwise": b'{"a": 1, "\\u0061": 2}',
    "the same name twice, inside": b'{"a": [{"b": 1, "c": 2, "b": 1}]}',
    "a comma too many": b'{"a": 1,}',
    "a comment": b'{"a": 1 /* one */}',
    "single quotes": b"{'a': 1}",
    "a raw line break": b'{"a": "b\nc"}',
    "a raw NUL": b'{"a": "\0"}',
    "NUL": b'{"a": "\\u0000"}',
    "NUL in a name": b'{"a\\u0000": 1}',
    "half a character": b'{"a": "\\ud800"}',
    "the other half": b'{"a": ["\\udfff"]}',
    "halves in the wrong order": b'{"a": "\\udc00\\ud800"}',
    "deep lists": b"[" * 100_000,
    "deep lists, closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a form": b"name=Ada&email=ada%40example.org",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a pickle": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94.",
}
NO_OBJECTS: tuple[bytes, ...] = (b"[]", b"[{}]", b'"text"', b"7", b"-0", b"1e30", b"null", b"true")
MEDIA_TYPES: tuple[str, ...] = (
    "",
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/json, text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/xml",
    "application/octet-stream",
    "application/json/extra",
    "application",
    "json",
    "*/*",
    ";charset=utf-8",
    "text/plain; charset=rot13",
    "a/b; x*=nonsense''y",
    "a/" + "b" * 20_000,
    "\xff\xfe/\x00",
)
CHARSETS: tuple[str, ...] = ("utf-16", "utf-7", "rot13", "nonsense", "idna", "undefined", '"', "utf-8; charset=utf-16")

# ---- values in the place of good ones: told as 422 ---------------------------------------------------------------

NO_TEXTS: tuple[Any, ...] = (5, -1, 1.5, True, False, [], {}, ["Ada"], {"a": "Ada"}, 10**30)
NO_NUMBERS: tuple[Any, ...] = ("5", "", "1e3", True, False, [], {}, [5], 1.5, 5.0, -0.0, 1e30, 10**30, -(10**30), None)
NO_OBJECT_HERE: tuple[Any, ...] = ([], "text", 5, True, [{}], "")
NO_LIST_HERE: tuple[Any, ...] = ({}, "text", 5, True, [], [None], [[]], [5], {"0": {}}, None)
LONG = "x" * 1_000_000
CONTROLS: tuple[str, ...] = ("Ada\x07", "\x1b[2J", "a\x7f", "a\x85b", "a\x0cb")
LINE_BREAKS: tuple[str, ...] = ("Ada\r\nBcc: x@example.org", "a\nb", "a\tb", "a\u2028b")
CHOICES: dict[str, tuple[Any, ...]] = {
    "country": ("XX", "gb", "GBR", "G", "", " ", "\uff27\uff22", "ZZ", "UK"),
    "currency": ("ZZZ", "eur", "EU", "EURO", "", "XXX", "\uff25\uff35\uff32", "EUR\n", " EUR", "XAU", "DEM"),
    "status": ("archived", "ACTIVE", "nonsense", ""),
    "provider": ("nonsense", "Fake", "../fake"),
    "slug": ("Cups", "a b", "-a", "a--b", "a/b", "../a", "\u00e9"),
}
UNKNOWN_FIELDS: tuple[str, ...] = ("is_staff", "id", "role", "__proto__", "", " ", "$where", "Name", "customer_id")

# ---- IDs, lists, keys --------------------------------------------------------------------------------------------


def damaged(good: str) -> list[str]:
    """What is nearly that ID."""
    prefix, _, body = good.partition("_")
    other = ALPHABET[(ALPHABET.index(body[-1]) + 1) % len(ALPHABET)]
    return [
        f"{prefix}_{body[:-1]}{other}",
        f"{prefix}_{body[1]}{body[0]}{body[2:]}" if body[0] != body[1] else f"{prefix}_{body[::-1]}",
        f"{prefix}_{body[:-1]}",
        f"{prefix}_{body}0",
        f"{prefix}_{body.lower()}" if body.lower() != body else f"{prefix}_",
        good.upper(),
        f"{prefix}{body}",
        f"{prefix}-{body}",
        f"{prefix}__{body}",
        f"_{body}",
        body,
        f"xyz_{body}",
        f"{'ord' if prefix != 'ord' else 'prd'}_{body}",
        f"{prefix}_{body.translate(FULL_WIDTH)}",
        f"\u0440{good}",
        f" {good}",
        f"{good}\n",
        f"{good} ",
        f"{prefix}_" + "7" * 10_000,
        "0",
        "-1",
        "null",
        "1e400",
        "' OR 1=1 --",
        "{}",
    ]


FULL_WIDTH = {ord(letter): ord(letter) + 0xFEE0 for letter in ALPHABET}


def unknown(good: str) -> str:
    """An ID of the same kind that nothing has."""
    return public_id(good.partition("_")[0], 4_611_686_018_427_387_904)


LIMITS: tuple[str, ...] = (
    "0",
    "-1",
    "101",
    "abc",
    "",
    "1.0",
    "1e1",
    "0x10",
    "+1",
    "%201",
    "1%20",
    "1_0",
    "null",
    "9" * 1_000,
    "%EF%BC%91%EF%BC%90",
    "%C2%B2",
    "%00",
    "%FF",
    "1%0A",
    "true",
)
CURSORS: tuple[str, ...] = (
    "",
    "x",
    ":",
    "a:b",
    "a:b:c",
    "%00",
    "%FF%FE",
    "W10:" + "A" * 43,
    "." * 100,
    "A" * 10_000,
    "null",
    "%F0%9F%98%80",
    "gASVBQAAAAAAAACMAWGULg:x",
)
KEYS: tuple[str, ...] = ("", "x" * 256, "x" * 20_000, "a\tb", "\x00", "\x7f", "\xe9", "a\r\nb", "\xa0", "\x85")
METHODS: tuple[str, ...] = ("TRACE", "TRACK", "CONNECT", "FOO", "PROPFIND", "", "G ET", "POST\r\n", "\xff")
