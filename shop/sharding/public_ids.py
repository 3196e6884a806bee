"""IDs as the public sees them: type prefix, 13 characters of the permuted ID, one check character.

The permutation is a keyed Feistel network over 63 bits: a public ID tells nothing about order, time or shard, and the
ID, hence the bucket, comes back without a look-up. The check character makes the 14 a code word over GF(32): every
single wrong character and every swap of two is noticed.
"""

import hashlib
from functools import cache, lru_cache
from typing import Final

from django.conf import settings

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 14
FIRST_VALUES: Final = 8  # 63 bits: the first character carries three
ROUNDS: Final = 6
LOW_BITS: Final = 31
HIGH_BITS: Final = 32

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


class InvalidPublicId(ValueError):
    """Damaged, of another type, or of another shop."""


def _powers() -> tuple[list[int], list[int]]:
    """GF(32) by x⁵ + x² + 1: powers of its generator, and logarithms."""
    powers, logs, value = [], [0] * 32, 1
    for exponent in range(31):
        powers.append(value)
        logs[value] = exponent
        value = (value << 1) ^ (0b100101 if value & 16 else 0)
    return powers, logs


_POWERS, _LOGS = _powers()


def _check_value(values: list[int]) -> int:
    """Σ αⁱ⁺¹·vᵢ; as α⁰·check it closes the code word."""
    total = 0
    for position, value in enumerate(values, start=1):
        if value:
            total ^= _POWERS[(_LOGS[value] + position) % 31]
    return total


@cache
def _round_keys() -> tuple[bytes, ...]:
    key = str(settings.PUBLIC_ID_KEY).encode()
    return tuple(hashlib.blake2b(bytes([n]), key=hashlib.sha256(key).digest()).digest() for n in range(ROUNDS))


def _mix(round_key: bytes, half: int, bits: int) -> int:
    digest = hashlib.blake2b(half.to_bytes(4), key=round_key, digest_size=4).digest()
    return int.from_bytes(digest) & ((1 << bits) - 1)


def permute(number: int) -> int:
    """63 bits to 63 bits, one to one, by ``PUBLIC_ID_KEY``."""
    high, low = number >> LOW_BITS, number & ((1 << LOW_BITS) - 1)
    for step, key in enumerate(_round_keys()):
        if step % 2:
            low ^= _mix(key, high, LOW_BITS)
        else:
            high ^= _mix(key, low, HIGH_BITS)
    return high << LOW_BITS | low


def unpermute(number: int) -> int:
    """The inverse of `permute`."""
    high, low = number >> LOW_BITS, number & ((1 << LOW_BITS) - 1)
    for step, key in reversed(list(enumerate(_round_keys()))):
        if step % 2:
            low ^= _mix(key, high, LOW_BITS)
        else:
            high ^= _mix(key, low, HIGH_BITS)
    return high << LOW_BITS | low


@lru_cache(maxsize=16_384)
def characters_of(number: int) -> str:
    """The 14 characters of an ID."""
    hidden = permute(number)
    values = [hidden >> shift & 31 for shift in range(60, -1, -5)]
    return "".join(ALPHABET[value] for value in (*values, _check_value(values)))


def public_id(prefix: str, number: int) -> str:
    """``ord_5D8K…``: the public form of an ID."""
    return f"{prefix}_{characters_of(number)}"


def number_of(prefix: str, text: str) -> int:
    """The ID behind its public form.

    Raises:
        InvalidPublicId: Not exactly such an ID.
    """
    head, separator, body = text.rpartition("_")
    if head != prefix or not separator:
        raise InvalidPublicId(f"not an ID of the form {prefix}_…")
    return _number_of_characters(body)


@lru_cache(maxsize=16_384)
def _number_of_characters(body: str) -> int:
    values = [_VALUES.get(character, -1) for character in body]
    if len(values) != LENGTH or -1 in values or values[0] >= FIRST_VALUES or _check_value(values[:-1]) != values[-1]:
        raise InvalidPublicId("a damaged ID")
    hidden = 0
    for value in values[:-1]:
        hidden = hidden << 5 | value
    return unpermute(hidden)


def order_number(number: int) -> str:
    """The same characters for people, grouped 5-5-4."""
    characters = characters_of(number)
    return f"{characters[:5]}-{characters[5:10]}-{characters[10:]}"
