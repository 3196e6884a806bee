"""IDs: their parts, their public form."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.sharding.ids import BUCKETS, bucket_of, compose, created_ms_of, hash_bucket, key_of_bucket, random_bucket
from shop.sharding.public_ids import (
    ALPHABET,
    InvalidPublicId,
    number_of,
    order_number,
    permute,
    public_id,
    unpermute,
)

NUMBERS = st.integers(0, 2**63 - 1)


@given(st.integers(0, BUCKETS - 1), st.integers(0, 2**41 - 1), st.integers(0, 1023))
def test_the_parts_of_an_id_come_back(bucket, tick, worker):
    number = compose(bucket=bucket, tick=tick, worker=worker)
    assert 0 <= number < 2**63
    assert bucket_of(number) == bucket
    assert created_ms_of(number) - created_ms_of(key_of_bucket(0)) == tick


@given(NUMBERS)
def test_the_permutation_is_one_to_one(number):
    assert unpermute(permute(number)) == number
    assert 0 <= permute(number) < 2**63


@given(NUMBERS)
def test_a_public_id_decodes_to_its_number(number):
    text = public_id("ord", number)
    assert number_of("ord", text) == number
    assert len(text) == len("ord_") + 14
    assert order_number(number).replace("-", "") == text.removeprefix("ord_")


@given(NUMBERS, st.integers(0, 13), st.integers(1, 31))
def test_every_single_wrong_character_is_noticed(number, position, shift):
    body = public_id("ord", number).removeprefix("ord_")
    other = ALPHABET[(ALPHABET.index(body[position]) + shift) % 32]
    with pytest.raises(InvalidPublicId):
        number_of("ord", f"ord_{body[:position]}{other}{body[position + 1 :]}")


@given(NUMBERS, st.integers(0, 13), st.integers(0, 13))
def test_every_swap_of_two_characters_is_noticed(number, left, right):
    body = list(public_id("ord", number).removeprefix("ord_"))
    if body[left] == body[right]:
        return
    body[left], body[right] = body[right], body[left]
    with pytest.raises(InvalidPublicId):
        number_of("ord", "ord_" + "".join(body))


@pytest.mark.parametrize(
    "text", ["", "ord_", "ord", "prd_00000000000000", "ord_0000000000000", "ord_!", "ord_" + "é" * 14]
)
def test_what_is_no_public_id_is_refused(text):
    with pytest.raises(InvalidPublicId):
        number_of("ord", text)


@pytest.mark.once
def test_every_slip_in_some_ids_is_noticed():
    """Each character replaced by each other one, each two swapped, one left out, one doubled: some 550 slips an ID."""
    for number in (0, 1, 2**63 - 1, *(random.Random(7).getrandbits(63) for _ in range(20))):
        body = public_id("ord", number).removeprefix("ord_")
        wrong = {body[:n] + other + body[n + 1 :] for n in range(14) for other in ALPHABET}
        wrong |= {body[:n] + body[m] + body[n + 1 : m] + body[n] + body[m + 1 :] for m in range(14) for n in range(m)}
        wrong |= {body[:n] + body[n + 1 :] for n in range(14)} | {body[:n] + body[n] + body[n:] for n in range(14)}
        for text in wrong - {body}:
            with pytest.raises(InvalidPublicId):
                number_of("ord", f"ord_{text}")


@pytest.mark.once
@pytest.mark.parametrize(
    "buckets",
    [
        pytest.param(lambda n: hash_bucket("email", f"customer-{n}@example.com"), id="of values"),
        pytest.param(lambda _: random_bucket(), id="of what belongs to nothing"),
    ],
)
def test_buckets_are_filled_evenly(buckets):
    """By Pearson: with 4,096 buckets the sum is 4,095 on the average, and strays by 90; six times that is never."""
    each = 50
    filled = Counter(buckets(n) for n in range(each * BUCKETS))
    strays = sum((filled[bucket] - each) ** 2 / each for bucket in range(BUCKETS))
    assert abs(strays - (BUCKETS - 1)) < 6 * math.sqrt(2 * (BUCKETS - 1))
